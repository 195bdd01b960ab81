/** What a request says about its body, and receiving that body while checking all of it. */
import { randomBytes } from 'node:crypto';
import type { BodyFraming, RequestHead } from '../http/request-head.ts';
import type { ContentStore, ContentWriter } from '../store/content.ts';
import { AwsChunkedDecoder } from './aws-chunked.ts';
import {
  BodyDigests,
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  type DigestName,
  isChecksumValue,
  parseChecksumAlgorithm,
} from './checksum.ts';
import type { ReceivedBody, ServiceSettings } from './operation.ts';
import { S3Error } from './s3-error.ts';
import type { Authentication } from './sigv4.ts';
import { XML_BYTES_MAX } from './xml.ts';

const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
/** AWS's limit for one PUT or part. */
const PUT_BYTES_MAX = 5 * 1024 ** 3;

interface PayloadRules {
  /** `object`: kept as content under an ETag; `xml`: bounded and handed over as it is. */
  readonly kind: 'object' | 'xml';
  /** Do `x-amz-checksum-…` fields speak of this body? On Complete they speak of the object. */
  readonly hasChecksumFields: boolean;
  /** To be computed whether the client sends them or not. */
  readonly wantedChecksums: readonly ChecksumAlgorithm[];
}

interface ExpectedChecksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Base64; undefined: it comes as a trailer. */
  readonly value: string | undefined;
}

interface PayloadPlan {
  /** Hex, where the payload's hash is signed as a whole. */
  readonly sha256: string | undefined;
  /** Present for aws-chunked bodies. */
  readonly chunked:
    | { readonly isSigned: boolean; readonly trailerNames: readonly string[] | undefined }
    | undefined;
  /** Without framing. */
  readonly sizeBytes: number;
  /** Hex. */
  readonly md5: string | undefined;
  readonly checksum: ExpectedChecksum | undefined;
}

export interface PayloadContext {
  readonly head: RequestHead;
  readonly framing: BodyFraming;
  readonly authentication: Authentication;
  readonly settings: ServiceSettings;
  readonly rules: PayloadRules;
}

function planPayload(context: PayloadContext): PayloadPlan {
  const { head, framing, rules, settings } = context;
  const { headers } = head;
  const chunked = chunkedPlan(context);
  let sizeBytes = framing.kind === 'length' ? framing.bytes : 0;
  if (chunked) {
    const decoded = headers.get('x-amz-decoded-content-length') ?? '';
    if (!/^\d{1,15}$/.test(decoded)) throw lengthMissing();
    sizeBytes = Number(decoded);
  } else if (framing.kind === 'chunked' || (rules.kind === 'object' && !headers.has('content-length'))) {
    throw lengthMissing();
  }
  const bytesMax = rules.kind === 'xml' ? XML_BYTES_MAX : PUT_BYTES_MAX;
  if (sizeBytes > bytesMax) {
    throw new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size', {
      fields: { ProposedSize: sizeBytes, MaxSizeAllowed: bytesMax },
    });
  }
  const checksum =
    rules.hasChecksumFields && settings.checksums ? expectedChecksum(head, chunked?.trailerNames) : undefined;
  return { sha256: signedSha256(context), chunked, sizeBytes, md5: expectedMd5(head), checksum };
}

function lengthMissing(): S3Error {
  return new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.');
}

function chunkedPlan(context: PayloadContext): PayloadPlan['chunked'] {
  const { payloadHash } = context.authentication;
  const { headers } = context.head;
  const hasTrailers = context.settings.checksums;
  const trailer = headers.get('x-amz-trailer');
  if (payloadHash === 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD')
    return { isSigned: true, trailerNames: undefined };
  const isSigned = payloadHash === 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER';
  if (hasTrailers && (isSigned || payloadHash === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER')) {
    const names = (trailer ?? '').split(',').map((name) => name.trim().toLowerCase());
    return { isSigned, trailerNames: names.filter((name) => name !== '') };
  }
  return undefined;
}

function signedSha256(context: PayloadContext): string | undefined {
  const { payloadHash } = context.authentication;
  if (payloadHash === 'UNSIGNED-PAYLOAD' || chunkedPlan(context)) return undefined;
  // Without trailers their names are no known value either, and the body cannot have such a hash.
  if (/^[0-9a-f]{64}$/.test(payloadHash) || !context.settings.checksums) return payloadHash;
  throw new S3Error(
    'InvalidArgument',
    'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.',
  );
}

function expectedMd5(head: RequestHead): string | undefined {
  const field = head.headers.get('content-md5');
  if (field === undefined) return undefined;
  const bytes = Buffer.from(field, 'base64');
  if (bytes.length !== 16) throw new S3Error('InvalidDigest', 'The Content-MD5 you specified is not valid.');
  return bytes.toString('hex');
}

function expectedChecksum(
  head: RequestHead,
  trailerNames: readonly string[] | undefined,
): ExpectedChecksum | undefined {
  const inHead = CHECKSUM_ALGORITHMS.filter((one) => head.headers.has(`x-amz-checksum-${one}`));
  const inTrailer = CHECKSUM_ALGORITHMS.filter((one) => trailerNames?.includes(`x-amz-checksum-${one}`));
  const [algorithm, second] = [...inHead, ...inTrailer];
  if (second) {
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    );
  }
  const named = head.headers.get('x-amz-sdk-checksum-algorithm');
  if (!algorithm) {
    if (named === undefined || head.headers.has('content-md5')) return undefined;
    throw new S3Error(
      'InvalidRequest',
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    );
  }
  if (named !== undefined && parseChecksumAlgorithm(named) !== algorithm) {
    throw new S3Error('InvalidRequest', 'Value for x-amz-sdk-checksum-algorithm header is invalid.');
  }
  if (inHead.length === 0) return { algorithm, value: undefined };
  const value = head.headers.get(`x-amz-checksum-${algorithm}`) ?? '';
  if (!isChecksumValue(algorithm, value)) throw invalidChecksum(algorithm);
  return { algorithm, value };
}

function invalidChecksum(algorithm: ChecksumAlgorithm): S3Error {
  return new S3Error('InvalidRequest', `Value for x-amz-checksum-${algorithm} header is invalid.`);
}

/** Changes payload bytes as they come; faults do that. */
export type PayloadFilter = (piece: Buffer) => Buffer;

/** A body that passed every check: an object's, or the XML of a control request. */
export interface Received {
  readonly body: ReceivedBody | undefined;
  readonly xml: Buffer;
}

export class PayloadReceiver {
  readonly #context: PayloadContext;
  readonly #plan: PayloadPlan;
  readonly #digests: BodyDigests;
  readonly #decoder: AwsChunkedDecoder | undefined;
  readonly #writer: ContentWriter | undefined;
  readonly #pieces: Buffer[] = [];
  readonly #filter: PayloadFilter | undefined;
  #bytes = 0;

  constructor(context: PayloadContext, contents: ContentStore, filter: PayloadFilter | undefined) {
    this.#context = context;
    const plan = planPayload(context);
    this.#plan = plan;
    this.#filter = filter;
    this.#digests = new BodyDigests(neededDigests(context, plan));
    if (context.rules.kind === 'object') this.#writer = contents.openWriter(plan.sizeBytes);
    if (plan.chunked) {
      this.#decoder = new AwsChunkedDecoder({
        signing: plan.chunked.isSigned ? context.authentication.signing : undefined,
        trailerNames: plan.chunked.trailerNames,
        acceptsWrongSignatures: context.settings.checksNothing,
        onData: (piece) => this.#take(piece),
      });
    }
  }

  /** Bytes of the body, framing of HTTP removed. */
  write(chunk: Buffer): void {
    if (this.#decoder) this.#decoder.write(chunk);
    else this.#take(chunk);
  }

  /** @throws whatever is wrong with a body that is complete. */
  end(): Received {
    this.#decoder?.end();
    if (this.#bytes !== this.#plan.sizeBytes) {
      throw new S3Error(
        'IncompleteBody',
        'You did not provide the number of bytes specified by the Content-Length HTTP header',
        {
          fields: { NumberBytesExpected: this.#plan.sizeBytes, NumberBytesProvided: this.#bytes },
        },
      );
    }
    const { settings } = this.#context;
    if (!settings.checksNothing) this.#checkHashes();
    const sent = this.#checkChecksum();
    if (!this.#writer) return { body: undefined, xml: Buffer.concat(this.#pieces) };
    const body: ReceivedBody = {
      content: this.#writer.finish(),
      etag: this.#etag(),
      sent,
      checksum: (algorithm) => this.#digests.get(algorithm).toString('base64'),
    };
    return { body, xml: NOTHING };
  }

  #etag(): string {
    const { opaqueEtags } = this.#context.settings;
    if (!opaqueEtags) return this.#digests.get('md5').toString('hex');
    return `${randomBytes(16).toString('hex')}${opaqueEtags === 'dashed' ? '-1' : ''}`;
  }

  #take(piece: Buffer): Buffer {
    const kept = this.#filter ? this.#filter(piece) : piece;
    this.#bytes += kept.length;
    if (this.#bytes > this.#plan.sizeBytes) {
      throw new S3Error('IncompleteBody', 'The request body is longer than it was announced to be', {
        fields: { NumberBytesExpected: this.#plan.sizeBytes },
        closesConnection: true,
      });
    }
    this.#digests.update(kept);
    if (this.#writer) this.#writer.write(kept);
    else this.#pieces.push(kept);
    return kept;
  }

  #checkHashes(): void {
    const { sha256, md5 } = this.#plan;
    if (sha256 !== undefined && sha256 !== this.#sha256()) {
      throw new S3Error(
        'XAmzContentSHA256Mismatch',
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        { fields: { ClientComputedContentSHA256: sha256, S3ComputedContentSHA256: this.#sha256() } },
      );
    }
    if (md5 !== undefined && md5 !== this.#digests.get('md5').toString('hex')) {
      throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.', {
        fields: { ExpectedDigest: md5, CalculatedDigest: this.#digests.get('md5').toString('hex') },
      });
    }
  }

  #sha256(): string {
    return this.#bytes === 0 ? EMPTY_SHA256 : this.#digests.get('sha256').toString('hex');
  }

  #checkChecksum(): ReceivedBody['sent'] {
    const expected = this.#plan.checksum;
    if (!expected) return undefined;
    const { algorithm } = expected;
    const value = expected.value ?? this.#decoder?.trailers.get(`x-amz-checksum-${algorithm}`) ?? '';
    if (!isChecksumValue(algorithm, value)) throw invalidChecksum(algorithm);
    const computed = this.#digests.get(algorithm).toString('base64');
    if (computed !== value && !this.#context.settings.checksNothing) {
      throw new S3Error(
        'BadDigest',
        `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
        {
          fields: { ExpectedDigest: value, CalculatedDigest: computed },
        },
      );
    }
    return { algorithm, value: computed };
  }
}

const NOTHING = Buffer.alloc(0);

function neededDigests(context: PayloadContext, plan: PayloadPlan): readonly DigestName[] {
  const { checksNothing, opaqueEtags } = context.settings;
  const names = new Set<DigestName>(context.rules.wantedChecksums);
  const isObject = context.rules.kind === 'object';
  if ((isObject && !opaqueEtags) || (plan.md5 !== undefined && !checksNothing)) names.add('md5');
  if (plan.sha256 !== undefined && plan.sizeBytes > 0 && !checksNothing) names.add('sha256');
  if (plan.checksum) names.add(plan.checksum.algorithm);
  return [...names];
}
