/** The parameters of the registry's `gcs` driver, and what of Cloud Storage it has no words for. */
import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { keyRuleParameter } from './key-rule-parameter.ts';
import {
  booleanParameter,
  bytesParameter,
  choiceParameter,
  integerParameter,
  mapParameter,
  parameter,
  Refused,
  readText,
  textParameter,
} from './parameter.ts';
import { readEndpoint } from './s3-values.ts';

const OWN_PARTS = "concerns the registry's own transfers; blobferry chooses part sizes itself";

/** Each can be read at once, the archive too (https://cloud.google.com/storage/docs/storage-classes). */
const STORAGE_CLASSES: readonly string[] = ['STANDARD', 'NEARLINE', 'COLDLINE', 'ARCHIVE'];

/** https://cloud.google.com/storage/docs/access-control/lists#predefined-acl, as the XML API writes them. */
const ACLS: readonly string[] = [
  'private',
  'project-private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
];

export const gcsParameters = z.object({
  bucket: parameter({ type: 'text', default: 'required', description: 'Name of the bucket' }, readGcsBucket),
  keyfile: parameter(
    {
      type: 'text',
      default: 'none',
      description: 'JSON file with the key of a service account, or the credentials of a user',
    },
    readKeyfile,
  ),
  credentials: mapParameter({
    default: 'none',
    isSecret: true,
    description: 'What such a file holds, as a section of its own; not beside `keyfile`',
  }),
  rootdirectory: textParameter({
    default: 'the root of the bucket',
    description: 'What stands before `docker/registry/v2` in every key; slashes at both ends mean nothing',
  }),
  keyrule: keyRuleParameter('gcs'),
  accesskey: textParameter({
    default: 'none',
    isSecret: true,
    description:
      'Access id of an HMAC key; belongs together with `secretkey`. The bucket is then used as by S3',
  }),
  secretkey: textParameter({
    default: 'none',
    isSecret: true,
    description: 'Secret of an HMAC key; belongs together with `accesskey`',
  }),
  endpoint: textParameter(
    {
      default: 'https://storage.googleapis.com',
      description:
        'Where the service is, if not there: Private Service Connect, another universe, an emulator',
    },
    readEndpoint,
  ),
  skipverify: booleanParameter({
    default: 'false',
    description: '`true`: TLS certificates of the endpoint are not checked',
  }),
  kmskeyname: textParameter(
    {
      default: "the bucket's",
      isForWriting: true,
      description:
        'KMS key of written objects: `projects/P/locations/L/keyRings/R/cryptoKeys/K`. Not with HMAC keys',
    },
    readKmsKeyName,
  ),
  storageclass: choiceParameter(
    { default: "the bucket's", isForWriting: true, description: 'Storage class of written objects' },
    STORAGE_CLASSES,
    (text) => text.toUpperCase(),
  ),
  predefinedacl: choiceParameter(
    {
      default: "the bucket's",
      isForWriting: true,
      description: 'Predefined ACL of written objects; a bucket with uniform access takes none',
    },
    ACLS,
    (text) => text.toLowerCase(),
  ),
  contenttype: textParameter(
    {
      default: 'application/octet-stream',
      isForWriting: true,
      description: "Content type of written objects; the default is the registry's. Not with HMAC keys",
    },
    readContentType,
  ),
  chunksize: bytesParameter(
    { default: '16777216', noEffect: OWN_PARTS, description: 'Part size of pushes to the registry' },
    { min: 0, max: Number.MAX_SAFE_INTEGER },
  ),
  maxconcurrency: integerParameter(
    {
      default: '50',
      noEffect: "concerns the registry's own requests; blobferry paces its requests itself",
      description: 'Requests of the registry at once',
    },
    { min: 0, max: Number.MAX_SAFE_INTEGER },
  ),
});

export type GcsParameters = z.infer<typeof gcsParameters>;

/** https://cloud.google.com/storage/docs/buckets#naming: 3 to 222 characters. */
export function readGcsBucket(text: string): string | Refused {
  const isName = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(text);
  return isName
    ? text
    : new Refused('must be the name of a bucket (3 to 222 small letters, digits, ".", "_" or "-")');
}

/** Threads and later runs may have another working directory. */
export function readKeyfile(text: string): string | undefined | Refused {
  const checked = readText(text);
  if (checked instanceof Refused || checked === undefined) return checked;
  return isAbsolute(checked) ? checked : resolve(checked);
}

function readKmsKeyName(text: string): string | undefined | Refused {
  if (text === '') return undefined;
  const isName = /^projects\/[^/\s]+\/locations\/[^/\s]+\/keyRings\/[^/\s]+\/cryptoKeys\/[^/\s]+$/.test(text);
  return isName ? text : new Refused('must be projects/P/locations/L/keyRings/R/cryptoKeys/K');
}

function readContentType(text: string): string | undefined | Refused {
  if (text === '') return undefined;
  // The registry takes objects of this type for unfinished uploads.
  if (text === 'application/x-docker-upload-session')
    return new Refused('must not be that of unfinished uploads');
  return /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;\s*[\x20-\x7e]+)?$/.test(text)
    ? text
    : new Refused('must be a content type such as application/octet-stream');
}
