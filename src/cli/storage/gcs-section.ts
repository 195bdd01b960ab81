/** From the parameters of the registry's `gcs` driver to what our drivers are built with. */
import type { GcsAccess, GcsSpec, S3Spec } from '../../drivers/spec.ts';
import { type GcsParameters, gcsParameters } from './gcs-parameters.ts';
import { plainIf } from './key-rule-parameter.ts';
import { type ReadSection, readSection, type Section } from './section.ts';

const GOOGLE = 'https://storage.googleapis.com';
/** Cloud Storage takes any region in a signature; its documents use this one. */
const HMAC_REGION = 'auto';

type Read = ReadSection<GcsParameters>;

/** Problems and notes go to the section's remarks; undefined when there were problems that leave no storage. */
export function readGcsSection(section: Section): GcsSpec | S3Spec | undefined {
  const read = readSection(section, gcsParameters);
  if (!read) return undefined;
  const { values } = read;
  if (values.bucket === undefined) section.remarks.problem(section.line, `${section.backend} lacks "bucket"`);
  if (values.accesskey !== undefined || values.secretkey !== undefined) return byHmac(section, read);
  const access = readAccess(section, read);
  if (values.bucket === undefined || access === undefined) return undefined;
  return {
    kind: 'gcs',
    bucket: values.bucket,
    rootDirectory: values.rootdirectory ?? '',
    ...plainIf(values.keyrule),
    ...(values.endpoint === undefined ? {} : { endpoint: withHttps(values.endpoint) }),
    access,
    skipsTlsVerify: values.skipverify ?? false,
    ...(values.kmskeyname === undefined ? {} : { kmsKeyName: values.kmskeyname }),
    ...(values.storageclass === undefined ? {} : { storageClass: values.storageclass }),
    ...(values.predefinedacl === undefined ? {} : { predefinedAcl: values.predefinedacl }),
    ...(values.contenttype === undefined ? {} : { contentType: values.contenttype }),
  };
}

export function withHttps(endpoint: string): string {
  return endpoint.includes('://') ? endpoint : `https://${endpoint}`;
}

function readAccess({ backend, remarks }: Section, { values, lineOf }: Read): GcsAccess | undefined {
  const { keyfile, credentials } = values;
  if (keyfile !== undefined && credentials !== undefined) {
    remarks.problem(lineOf('keyfile'), `"keyfile" and "credentials" of ${backend} exclude each other`);
    return undefined;
  }
  if (keyfile !== undefined) return { kind: 'keyfile', path: keyfile };
  return credentials === undefined ? { kind: 'default' } : { kind: 'credentials', credentials };
}

/** Signed with an HMAC key, Cloud Storage's XML API is S3. */
function byHmac({ backend, remarks }: Section, { values, lineOf }: Read): S3Spec | undefined {
  const { accesskey, secretkey, bucket, endpoint = GOOGLE } = values;
  if (accesskey === undefined || secretkey === undefined) {
    const [alone, missing] =
      accesskey === undefined ? (['secretkey', 'accesskey'] as const) : (['accesskey', 'secretkey'] as const);
    remarks.problem(lineOf(alone), `"${alone}" of ${backend} is given without "${missing}"`);
    return undefined;
  }
  for (const name of ['keyfile', 'credentials'] as const) {
    if (values[name] === undefined) continue;
    remarks.problem(lineOf(name), `"${name}" and "accesskey" of ${backend} exclude each other`);
  }
  for (const name of ['kmskeyname', 'contenttype'] as const) {
    if (values[name] === undefined) continue;
    const hint = 'give a keyfile instead, or set a default key on the bucket';
    remarks.problem(lineOf(name), `"${name}" of ${backend} cannot be asked for with HMAC keys`, hint);
  }
  if (bucket === undefined) return undefined;
  return {
    kind: 's3',
    bucket,
    rootDirectory: values.rootdirectory ?? '',
    ...plainIf(values.keyrule),
    region: HMAC_REGION,
    endpoint: withHttps(endpoint),
    isPathStyle: true,
    skipsTlsVerify: values.skipverify ?? false,
    credentials: { accessKeyId: accesskey, secretAccessKey: secretkey },
    encrypt: false,
    ...(values.storageclass === undefined ? {} : { storageClass: values.storageclass }),
    ...(values.predefinedacl === undefined ? {} : { objectAcl: values.predefinedacl }),
  };
}
