/** From the parameters of the registry's `s3` driver to what our drivers are built with. */
import type { S3Credentials, S3Spec } from '../../drivers/spec.ts';
import { plainIf } from './key-rule-parameter.ts';
import { Refused } from './parameter.ts';
import { NO_STORAGE_CLASS, type S3Parameters, s3Parameters } from './s3-parameters.ts';
import {
  awsEndpoint,
  isAwsRegion,
  REGION_OF_OTHERS,
  regionFromEnvironment,
  usesPathStyle,
  withScheme,
} from './s3-values.ts';
import { type ReadSection, readSection, type Section } from './section.ts';

/** Problems and notes go to the section's remarks; undefined when there were problems that leave no storage. */
export function readS3Section(section: Section): S3Spec | undefined {
  const read = readSection(section, s3Parameters);
  if (!read) return undefined;
  const { values } = read;
  const bucket = requireBucket(section, read);
  const credentials = readCredentials(section, read);
  const region = readRegionOf(section, read);
  if (values.v4auth === false) {
    section.remarks.problem(
      read.lineOf('v4auth'),
      '"v4auth: false" of s3 asks for Signature Version 2, which blobferry does not speak',
      'remove v4auth if the server also takes Version 4, as every current one does',
    );
  }
  noteWithoutEffect(section, read);
  if (bucket === undefined || region === undefined) return undefined;
  const address = readAddress(section, read, { bucket, region });
  return {
    kind: 's3',
    bucket,
    rootDirectory: values.rootdirectory ?? '',
    ...plainIf(values.keyrule),
    region,
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }),
    isPathStyle: address.isPathStyle,
    skipsTlsVerify: values.skipverify ?? false,
    ...(credentials ? { credentials } : {}),
    ...writingAttributes(values),
    ...(values.useragent === undefined ? {} : { userAgent: values.useragent }),
  };
}

type Read = ReadSection<S3Parameters>;

function requireBucket(section: Section, { values }: Read): string | undefined {
  if (values.bucket === undefined) section.remarks.problem(section.line, `${section.backend} lacks "bucket"`);
  return values.bucket;
}

function readCredentials(section: Section, { values, lineOf }: Read): S3Credentials | undefined {
  const { accesskey, secretkey, sessiontoken } = values;
  if (accesskey !== undefined && secretkey !== undefined) {
    return {
      accessKeyId: accesskey,
      secretAccessKey: secretkey,
      ...(sessiontoken === undefined ? {} : { sessionToken: sessiontoken }),
    };
  }
  const alone = accesskey === undefined ? 'secretkey' : 'accesskey';
  const missing = accesskey === undefined ? 'accesskey' : 'secretkey';
  if (accesskey !== undefined || secretkey !== undefined) {
    section.remarks.problem(
      lineOf(alone),
      `"${alone}" of ${section.backend} is given without "${missing}"`,
      'give both, or neither: then the keys are looked for where the AWS SDK does',
    );
  } else if (sessiontoken !== undefined) {
    const sentence = `"sessiontoken" of ${section.backend} is given without "accesskey" and "secretkey"`;
    section.remarks.problem(lineOf('sessiontoken'), sentence);
  }
  return undefined;
}

function readRegionOf(section: Section, { values, lineOf }: Read): string | undefined {
  const { backend, remarks, env } = section;
  const { region, regionendpoint } = values;
  if (region !== undefined) {
    if (regionendpoint !== undefined || isAwsRegion(region)) return region;
    remarks.problem(
      lineOf('region'),
      `"region" of ${backend} is no region of AWS, and no "regionendpoint" names another service`,
    );
    return undefined;
  }
  const found = regionFromEnvironment(env, regionendpoint !== undefined);
  if (found instanceof Refused) {
    remarks.problem(section.line, `${backend} lacks "region", and ${found.why}`);
    return undefined;
  }
  if (found) {
    remarks.note(section.line, found.note);
    return found.region;
  }
  if (regionendpoint !== undefined) return REGION_OF_OTHERS;
  remarks.problem(section.line, `${backend} lacks "region"`, 'give it here or in AWS_REGION');
  return undefined;
}

interface Place {
  readonly bucket: string;
  readonly region: string;
}

interface Address {
  readonly endpoint?: string | undefined;
  readonly isPathStyle: boolean;
}

function readAddress(section: Section, read: Read, place: Place): Address {
  return read.values.regionendpoint === undefined
    ? readAwsAddress(section, read, place)
    : readCustomAddress(section, read, place, read.values.regionendpoint);
}

function readCustomAddress(section: Section, read: Read, place: Place, regionendpoint: string): Address {
  const { values, lineOf } = read;
  const endpoint = withScheme(regionendpoint, values.secure ?? true);
  if (new URL(endpoint).pathname === `/${place.bucket}`) {
    section.remarks.problem(
      lineOf('regionendpoint'),
      `"regionendpoint" of ${section.backend} ends in the name of the bucket`,
      'give scheme, host and port alone; "bucket" adds the rest',
    );
  }
  const isPathStyle = usesPathStyle(place.bucket, {
    asked: values.forcepathstyle,
    hasOwnEndpoint: true,
    endpoint,
    isTls: endpoint.startsWith('https:'),
  });
  return { endpoint, isPathStyle };
}

function readAwsAddress(section: Section, read: Read, place: Place): Address {
  const { values, lineOf } = read;
  const { backend, remarks } = section;
  const isSecure = values.secure ?? true;
  const isAccelerated = values.accelerate ?? false;
  const isPathStyle = usesPathStyle(place.bucket, {
    asked: values.forcepathstyle,
    hasOwnEndpoint: false,
    endpoint: undefined,
    isTls: isSecure,
  });
  if (isAccelerated && values.usefipsendpoint) {
    remarks.problem(
      lineOf('accelerate'),
      `"accelerate" and "usefipsendpoint" of ${backend} exclude each other`,
    );
  }
  if (isAccelerated && isPathStyle) {
    const why = values.forcepathstyle ? '"forcepathstyle"' : 'a bucket whose name fits no host name';
    remarks.problem(lineOf('accelerate'), `"accelerate" and ${why} of ${backend} exclude each other`);
  }
  const endpoint = awsEndpoint({
    region: place.region,
    isSecure,
    isAccelerated,
    isDualStack: values.usedualstack ?? false,
    isFips: values.usefipsendpoint ?? false,
  });
  return { endpoint, isPathStyle };
}

/** The registry always names a class and an ACL; where none is given they are what S3 does by itself. */
function writingAttributes(values: S3Parameters) {
  const { encrypt = false, keyid, storageclass, objectacl } = values;
  return {
    encrypt,
    ...(encrypt && keyid !== undefined ? { kmsKeyId: keyid } : {}),
    ...(storageclass === undefined || storageclass === NO_STORAGE_CLASS
      ? {}
      : { storageClass: storageclass }),
    ...(objectacl === undefined ? {} : { objectAcl: objectacl }),
  };
}

function noteWithoutEffect(section: Section, { values, lineOf }: Read): void {
  const { backend, remarks } = section;
  if (values.keyid !== undefined && !values.encrypt && section.isWritten) {
    remarks.note(lineOf('keyid'), `"keyid" of ${backend} has no effect without "encrypt: true"`);
  }
  const { regionendpoint } = values;
  if (regionendpoint === undefined) return;
  for (const name of ['usedualstack', 'usefipsendpoint', 'accelerate'] as const) {
    if (values[name]) {
      remarks.note(
        lineOf(name),
        `"${name}" of ${backend} has no effect: "regionendpoint" names the endpoint`,
      );
    }
  }
  const isHttp = regionendpoint.startsWith('http://');
  if (values.secure !== undefined && regionendpoint.includes('://') && values.secure === isHttp) {
    const scheme = isHttp ? 'http' : 'https';
    remarks.note(
      lineOf('secure'),
      `"secure: ${values.secure}" of ${backend} has no effect: "regionendpoint" says ${scheme}`,
    );
  }
}
