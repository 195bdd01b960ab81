/** The parameters of the registry's `s3` driver, from distribution 2.8 and 3. */
import { z } from 'zod';
import { keyRuleParameter } from './key-rule-parameter.ts';
import {
  booleanParameter,
  bytesParameter,
  choiceParameter,
  integerParameter,
  parameter,
  readText,
  textParameter,
} from './parameter.ts';
import { readBucket, readEndpoint, readRegion } from './s3-values.ts';

const MIB = 1024 * 1024;
/** S3's own limits for a part of a multipart upload, the last one aside. */
const PART_BYTES = { min: 5 * MIB, max: 5 * 1024 * MIB };

/** `NONE`: the server knows no storage classes, so none is named. */
export const NO_STORAGE_CLASS = 'NONE';

/** Those that can be read at once; the registry takes no others. */
const STORAGE_CLASSES: readonly string[] = [
  NO_STORAGE_CLASS,
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'OUTPOSTS',
  'GLACIER_IR',
  'EXPRESS_ONEZONE',
];

const OBJECT_ACLS: readonly string[] = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
];

const OWN_PARTS = "concerns the registry's own transfers; blobferry chooses part sizes itself";
const OWN_RETRIES = "concerns the registry's own requests; blobferry paces and repeats its requests itself";

export const s3Parameters = z.object({
  accesskey: textParameter({
    default: 'where the AWS SDK looks',
    isSecret: true,
    description:
      'Access key id; belongs together with `secretkey`. Empty or absent: environment, shared files, container or instance role',
  }),
  secretkey: textParameter({
    default: 'where the AWS SDK looks',
    isSecret: true,
    description: 'Secret access key; belongs together with `accesskey`',
  }),
  sessiontoken: textParameter({
    default: 'none',
    isSecret: true,
    description: 'Session token of temporary keys; only beside `accesskey` and `secretkey`',
  }),
  region: parameter(
    {
      type: 'text',
      default: 'AWS_REGION, then AWS_DEFAULT_REGION, then us-east-1 beside `regionendpoint`',
      description: 'Region of the bucket, which requests are signed for',
    },
    readRegion,
  ),
  regionendpoint: parameter(
    {
      type: 'text',
      default: 'AWS',
      description:
        'Where the S3 service is, if not AWS: `https://host:port`; without a scheme `secure` decides. Implies path style',
    },
    readEndpoint,
  ),
  forcepathstyle: booleanParameter({
    default: '`true` beside `regionendpoint`, else `false`',
    description:
      'Puts the bucket into the path instead of the host name. Buckets that fit no host name are in the path anyway',
  }),
  bucket: parameter({ type: 'text', default: 'required', description: 'Name of the bucket' }, readBucket),
  rootdirectory: textParameter({
    default: 'the root of the bucket',
    description: 'What stands before `docker/registry/v2` in every key; slashes at both ends mean nothing',
  }),
  keyrule: keyRuleParameter('s3'),
  secure: booleanParameter({
    default: 'true',
    description: '`false`: HTTP instead of HTTPS, for AWS and for a `regionendpoint` without a scheme',
  }),
  skipverify: booleanParameter({
    default: 'false',
    description: '`true`: TLS certificates are not checked. Prefer NODE_EXTRA_CA_CERTS or AWS_CA_BUNDLE',
  }),
  v4auth: booleanParameter({
    default: 'true',
    description: '`false` (Signature Version 2) is refused: blobferry signs with Version 4 only',
  }),
  encrypt: booleanParameter({
    default: 'false',
    isForWriting: true,
    description: 'Asks S3 to encrypt written objects: with `keyid` by KMS, else with AES256',
  }),
  keyid: textParameter({
    default: 'none',
    isForWriting: true,
    description: 'KMS key of written objects; without `encrypt: true` it does nothing',
  }),
  storageclass: choiceParameter(
    {
      default: 'none named, so STANDARD',
      isForWriting: true,
      description: 'Storage class of written objects, in any case of letters; `NONE` names none',
    },
    STORAGE_CLASSES,
    (text) => text.toUpperCase(),
  ),
  objectacl: choiceParameter(
    {
      default: 'none named, so private',
      isForWriting: true,
      description:
        'Canned ACL of written objects; `bucket-owner-full-control` for a bucket of another account',
    },
    OBJECT_ACLS,
    (text) => text,
  ),
  useragent: textParameter({ default: 'blobferry', description: 'User-Agent header of every request' }),
  usedualstack: booleanParameter({
    default: 'false',
    description: "AWS's endpoints that also answer over IPv6; nothing beside `regionendpoint`",
  }),
  usefipsendpoint: booleanParameter({
    default: 'false',
    description: "AWS's endpoints with FIPS 140 validated cryptography; nothing beside `regionendpoint`",
  }),
  accelerate: booleanParameter({
    default: 'false',
    description: 'Transfer Acceleration of AWS; not in path style; nothing beside `regionendpoint`',
  }),
  chunksize: bytesParameter(
    { default: '10485760', noEffect: OWN_PARTS, description: 'Part size of pushes to the registry' },
    PART_BYTES,
  ),
  multipartcopychunksize: bytesParameter(
    { default: '33554432', noEffect: OWN_PARTS, description: 'Part size of copies inside the bucket' },
    PART_BYTES,
  ),
  multipartcopymaxconcurrency: integerParameter(
    { default: '100', noEffect: OWN_PARTS, description: 'Parts copied inside the bucket at once' },
    { min: 1, max: Number.MAX_SAFE_INTEGER },
  ),
  multipartcopythresholdsize: bytesParameter(
    {
      default: '33554432',
      noEffect: OWN_PARTS,
      description: 'Objects above this are copied inside the bucket in parts',
    },
    { min: 0, max: PART_BYTES.max },
  ),
  maxretries: integerParameter(
    {
      default: "the AWS SDK's",
      noEffect: OWN_RETRIES,
      description: 'How often the registry repeats a request',
    },
    { min: 0, max: Number.MAX_SAFE_INTEGER },
  ),
  retryquota: integerParameter(
    {
      default: "the AWS SDK's",
      noEffect: OWN_RETRIES,
      description: 'Retry tokens of one client of the registry',
    },
    { min: 0, max: Number.MAX_SAFE_INTEGER },
  ),
  requestchecksumcalculation: choiceParameter(
    {
      default: 'when_required',
      noEffect: 'concerns the registry; blobferry finds out itself which checksums the server checks',
      description: 'When the registry sends checksums',
    },
    ['when_required', 'when_supported'],
    (text) => text.toLowerCase(),
  ),
  redirectendpoint: textParameter({
    default: '`regionendpoint`',
    noEffect: 'concerns what the registry answers to pulls',
    description: 'Endpoint in the URLs that the registry redirects pulls to',
  }),
  loglevel: parameter(
    {
      type: 'text',
      default: 'off',
      noEffect: "concerns the registry's own log",
      description: "What the registry's S3 client logs",
    },
    readText,
  ),
});

export type S3Parameters = z.infer<typeof s3Parameters>;
