/** Debian's docker-registry (CNCF distribution 2.8) on a folder, on S3 or on Swift: the program whose storage is being moved. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, onFreePorts } from './ports.ts';
import { cleanEnvironment, type ServerProcess, startServer, tail } from './process.ts';
import { makeTempFolder } from './temp.ts';

interface S3RegistryStorage {
  readonly endpoint: string;
  /** The bucket must exist. */
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Default `us-east-1`. */
  readonly region?: string;
  /** Default: the bucket's root. */
  readonly rootDirectory?: string;
}

interface SwiftRegistryStorage {
  /** Of tempauth v1. */
  readonly authUrl: string;
  readonly user: string;
  readonly password: string;
  /** The container must exist. */
  readonly container: string;
  readonly prefix?: string;
}

/** `filesystem`: absolute path of the folder that holds (or will hold) `docker/`. */
export type RegistryStorage =
  | { readonly filesystem: string }
  | { readonly s3: S3RegistryStorage }
  | { readonly swift: SwiftRegistryStorage };

export interface RegistryOptions {
  readonly storage: RegistryStorage;
  /** Refuses pushes and deletes. */
  readonly isReadOnly?: boolean;
}

export interface Registry {
  /** `127.0.0.1:port`, plain HTTP, anybody may push. */
  readonly host: string;
  /** The end of its log: what it answers to a push that its storage refused is a bare 500. */
  lastWords(): string;
  stop(): Promise<void>;
}

export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const folder = await makeTempFolder('registry');
  try {
    return await onFreePorts(async () => {
      const port = await freePort();
      const server = await serve(join(folder.path, 'config.yml'), port, options);
      const stop = async (): Promise<void> => {
        await server.stop();
        await folder.remove();
      };
      return { host: hostOf(port), lastWords: () => tail(server.output(), 20), stop };
    });
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

function hostOf(port: number): string {
  return `127.0.0.1:${port}`;
}

async function serve(configuration: string, port: number, options: RegistryOptions): Promise<ServerProcess> {
  const host = hostOf(port);
  await writeFile(configuration, registryConfiguration(host, options));
  return startServer({
    command: 'docker-registry',
    args: ['serve', configuration],
    // Nothing but the file may configure it: REGISTRY_… variables would override the file, AWS_… ones its keys.
    env: cleanEnvironment(),
    port,
    isReady: async (signal) => (await fetch(`http://${host}/v2/`, { signal })).ok,
  });
}

/** The part of its YAML that says where the objects are, which is also what `blobferry` reads. */
export function storageYaml(storage: RegistryStorage): string {
  return `storage:\n${linesOf(storage).join('\n')}\n`;
}

function linesOf(storage: RegistryStorage): readonly string[] {
  if ('s3' in storage) return s3Lines(storage.s3);
  if ('swift' in storage) return swiftLines(storage.swift);
  return ['  filesystem:', `    rootdirectory: ${JSON.stringify(storage.filesystem)}`];
}

function swiftLines(swift: SwiftRegistryStorage): readonly string[] {
  return [
    '  swift:',
    `    authurl: ${JSON.stringify(swift.authUrl)}`,
    '    authversion: 1',
    `    username: ${JSON.stringify(swift.user)}`,
    `    password: ${JSON.stringify(swift.password)}`,
    `    container: ${JSON.stringify(swift.container)}`,
    `    prefix: ${JSON.stringify(swift.prefix ?? '')}`,
    // A layer of a few megabytes so has several parts.
    '    chunksize: 1048576',
  ];
}

function s3Lines(s3: S3RegistryStorage): readonly string[] {
  return [
    '  s3:',
    `    accesskey: ${JSON.stringify(s3.accessKeyId)}`,
    `    secretkey: ${JSON.stringify(s3.secretAccessKey)}`,
    `    region: ${JSON.stringify(s3.region ?? 'us-east-1')}`,
    `    regionendpoint: ${JSON.stringify(s3.endpoint)}`,
    `    bucket: ${JSON.stringify(s3.bucket)}`,
    `    rootdirectory: ${JSON.stringify(s3.rootDirectory ?? '/')}`,
    '    secure: false',
    '    v4auth: true',
    '    chunksize: 5242880',
  ];
}

/** A whole configuration file of a registry: `blobferry` must find the storage section among the rest. */
export function registryConfiguration(host: string, options: RegistryOptions): string {
  return `version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
${storageYaml(options.storage)}  delete:
    enabled: true
  redirect:
    disable: true
  cache:
    blobdescriptor: inmemory
  maintenance:
    uploadpurging:
      enabled: false
    readonly:
      enabled: ${options.isReadOnly === true}
http:
  addr: ${host}
  secret: only-for-tests
  relativeurls: true
`;
}
