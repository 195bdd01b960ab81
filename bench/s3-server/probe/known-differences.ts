/**
 * Where the embedded server answers otherwise than Ceph 20.2.4, and by whose word. A test holds that the probe finds
 * exactly these, and that docs/embedded-s3.md has them as its table.
 */

export interface KnownDifference {
  readonly here: string;
  readonly ceph: string;
  readonly reference: string;
  /** Probe cases that show it. */
  readonly cases: readonly string[];
}

const API = 'https://docs.aws.amazon.com/AmazonS3/latest/API/';
const GUIDE = 'https://docs.aws.amazon.com/AmazonS3/latest/userguide/';
const INTEGRITY = `${GUIDE}checking-object-integrity-upload.html`;
const ERRORS = `${API}ErrorResponses.html`;

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    here: 'a signed request without `x-amz-content-sha256` is 400 InvalidRequest',
    ceph: '403 SignatureDoesNotMatch',
    reference: `${API}sig-v4-header-based-auth.html`,
    cases: ['signature: no x-amz-content-sha256'],
  },
  {
    here: 'a malformed `Authorization` is 400 AuthorizationHeaderMalformed',
    ceph: '400 InvalidArgument',
    reference: ERRORS,
    cases: ['signature: malformed Authorization'],
  },
  {
    here: 'a presigned URL valid for more than 7 days is 400 AuthorizationQueryParametersError',
    ceph: '403 AccessDenied',
    reference: `${API}sigv4-query-string-auth.html`,
    cases: ['presigned: valid for 8 days'],
  },
  {
    here: 'an `x-amz-content-sha256` that is no hash and no known word is 400 InvalidArgument',
    ceph: '400 XAmzContentSHA256Mismatch',
    reference: `${API}sig-v4-header-based-auth.html`,
    cases: ['payload: malformed hash'],
  },
  {
    here: 'a body without a length that is not aws-chunked is 411 MissingContentLength',
    ceph: 'stored',
    reference: `${API}API_PutObject.html`,
    cases: ['payload: no length'],
  },
  {
    here: 'a wrong chunk signature is 403 SignatureDoesNotMatch, that of the last, empty chunk as well',
    ceph: '400 XAmzContentSHA256Mismatch; the last one is not looked at',
    reference: `${API}sigv4-streaming.html`,
    cases: [
      'chunks: first signature wrong',
      'chunks: last signature wrong',
      'trailer: signed, a chunk wrongly',
    ],
  },
  {
    here: '`x-amz-checksum-*` in a field or trailer is checked, stored and returned',
    ceph: 'only where `x-amz-sdk-checksum-algorithm` is sent as well',
    reference: INTEGRITY,
    cases: ['trailer: CRC32 right', 'trailer: CRC32 wrong', 'checksum: CRC32 right', 'checksum: CRC32 wrong'],
  },
  {
    here: 'a trailer that was announced and does not come is 400 MalformedTrailerError',
    ceph: 'stored, with a checksum of its own',
    reference: `${API}sigv4-streaming-trailers.html`,
    cases: ['trailer: announced and left out'],
  },
  {
    here: 'checksums that are malformed, contradict the algorithm named, come in twos, or are named and not sent: 400 InvalidRequest',
    ceph: 'BadDigest for a malformed one; else stored',
    reference: INTEGRITY,
    cases: [
      'checksum: CRC32 malformed',
      'checksum: another algorithm named',
      'checksum: two at once',
      'checksum: algorithm named, none sent',
    ],
  },
  {
    here: '`x-amz-acl` comes back on HEAD and GET, so that tests can see what was sent (AWS does not return it either)',
    ceph: 'not returned',
    reference: `${API}API_HeadObject.html`,
    cases: ['attributes: what HEAD gives back'],
  },
  {
    here: 'more than 2 KB of user metadata is 400 MetadataTooLarge',
    ceph: 'stored',
    reference: `${GUIDE}UsingMetadata.html`,
    cases: ['attributes: more than 2 KB of metadata'],
  },
  {
    here: '`If-Match` may list several ETags',
    ceph: '412 PreconditionFailed',
    reference: 'https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1',
    cases: ['read: If-Match of several'],
  },
  {
    here: 'a `Range` that is malformed or names several ranges is ignored, `bytes=-0` is 416 InvalidRange',
    ceph: 'the first number counts, or 416; `bytes=-0` gives everything',
    reference: 'https://www.rfc-editor.org/rfc/rfc9110#section-14.2',
    cases: ['range: -0', 'range: 3-1', 'range: 0-1,3-4', 'range: x-y'],
  },
  {
    here: 'a key of more than 1,024 bytes is 400 KeyTooLongError',
    ceph: '400 InvalidObjectName',
    reference: ERRORS,
    cases: ['write: key of 1,024 and 1,025 bytes'],
  },
  {
    here: 'DeleteObjects checks Content-MD5 (400 BadDigest) and names 400 MalformedXML',
    ceph: 'Content-MD5 is not checked; 400 without a code',
    reference: `${API}API_DeleteObjects.html`,
    cases: ['delete: several'],
  },
  {
    here: 'CopyObject with `x-amz-checksum-algorithm` computes and stores that checksum',
    ceph: 'ignored',
    reference: `${API}API_CopyObject.html`,
    cases: ['copy: with a checksum asked for'],
  },
  {
    here: 'CopyObject keeps the checksum of its source with new metadata, too',
    ceph: 'dropped',
    reference: `${API}API_CopyObject.html`,
    cases: ['copy: of an object with a sha256, with new metadata'],
  },
  {
    here: '`x-amz-copy-source-if-none-match` with the source’s ETag is 412 PreconditionFailed',
    ceph: 'an answer that is not HTTP',
    reference: `${API}API_CopyObject.html`,
    cases: ['copy: source If-None-Match same'],
  },
  {
    here: '`encoding-type=url` escapes everything but RFC 3986’s unreserved characters, common prefixes and the delimiter too',
    ceph: "`'` is not escaped; prefixes and delimiter are not either",
    reference: `${API}API_ListObjectsV2.html`,
    cases: ['list v2: url encoding', 'list v2: delimiter and url encoding'],
  },
  {
    here: '`max-keys` above 1,000 is answered as 1,000; a negative one and an unknown `encoding-type` are 400 InvalidArgument',
    ceph: 'the asked number is echoed; the others are ignored',
    reference: `${API}API_ListObjectsV2.html`,
    cases: ['list v2: max-keys 5000', 'list v2: max-keys -1', 'list v2: unknown encoding'],
  },
  {
    here: 'CreateMultipartUpload answers `x-amz-checksum-type` and refuses unknown algorithms and a type without an algorithm',
    ceph: 'no type in the answer; ignored',
    reference: `${API}API_CreateMultipartUpload.html`,
    cases: [
      'multipart: begin with CRC32 FULL_OBJECT',
      'multipart: begin with CRC32 COMPOSITE',
      'multipart: begin with CRC32',
      'multipart: begin with CRC64NVME',
      'multipart: begin with SHA256',
      'multipart: begin with MD9',
      'multipart: begin with FULL_OBJECT',
    ],
  },
  {
    here: 'parts named out of order or twice are 400 InvalidPartOrder',
    ceph: 'sorted, and completed',
    reference: `${API}API_CompleteMultipartUpload.html`,
    cases: ['multipart: wrong order', 'multipart: the same part twice'],
  },
  {
    here: 'a wrong `x-amz-mp-object-size` is 400 InvalidRequest',
    ceph: 'ignored',
    reference: `${API}API_CompleteMultipartUpload.html`,
    cases: ['multipart: wrong size announced'],
  },
  {
    here: 'a wrong part checksum on Complete is 400 InvalidPart; another checksum type, or a checksum of an upload begun without one, 400 InvalidRequest',
    ceph: 'ignored',
    reference: `${API}API_CompleteMultipartUpload.html`,
    cases: [
      'multipart: full object, wrong part checksum',
      'multipart: full object announced as composite',
      'multipart: CRC32 on Complete of an upload without',
    ],
  },
  {
    here: 'COMPOSITE checksums are the checksum of the parts’ checksums with `-N`, and Complete must name them all',
    ceph: 'CRCs are always combined to FULL_OBJECT',
    reference: INTEGRITY,
    cases: [
      'multipart: composite',
      'multipart: composite without part checksums',
      'multipart: composite, wrong part checksum',
    ],
  },
  {
    here: 'part numbers are 1 to 10,000',
    ceph: '0 and 10,001 are taken',
    reference: `${API}API_UploadPart.html`,
    cases: ['part: numbers'],
  },
  {
    here: 'ListParts and Complete of an upload that is gone are 404 NoSuchUpload (a repeated Complete with the same parts is 200)',
    ceph: '404 NoSuchKey; 500 InternalError',
    reference: ERRORS,
    cases: ['part: of no upload', 'multipart: completed twice'],
  },
  {
    here: 'a part’s checksum of another algorithm than the upload’s is 400 InvalidRequest; ListParts names algorithm and type',
    ceph: 'stored; not named',
    reference: `${API}API_UploadPart.html`,
    cases: ['part: checksums'],
  },
  {
    here: 'ListMultipartUploads with a delimiter lists the common prefixes',
    ceph: 'they are lost',
    reference: `${API}API_ListMultipartUploads.html`,
    cases: ['uploads: pages'],
  },
  {
    here: 'a malformed `x-amz-copy-source-range` is 400 InvalidArgument',
    ceph: '416 InvalidRange',
    reference: `${API}API_UploadPartCopy.html`,
    cases: ['part copy: ranges'],
  },
  {
    here: 'GET with `partNumber` is 206 with a Content-Range; a part that is not there is 416 InvalidPartNumber',
    ceph: '200; 400 InvalidPart',
    reference: `${API}API_GetObject.html`,
    cases: ['part: read by number'],
  },
];

/** The table as the document has it. */
export function differenceTable(): string {
  const rows = KNOWN_DIFFERENCES.map(
    (one) => `| ${one.here} | ${one.ceph} | [reference](${one.reference}) |`,
  );
  return ['| here | Ceph 20.2.4 | by |', '| --- | --- | --- |', ...rows].join('\n');
}
