/** A stand-in behind TLS, a bucket for its new storage, and a migration file: what an end-to-end migration needs. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { makeCertificate } from '../../../bench/support/certificate.ts';
import { type CliOptions, type CliResult, runBlobferry } from '../cli.ts';
import { type RegistryStorage, storageYaml } from '../registry.ts';
import { S3Bucket } from '../s3-bucket.ts';
import { makeTempFolder } from '../temp.ts';
import { type Msr, startMsr } from './msr.ts';
import type { MsrOptions } from './state.ts';

export interface MigrateOptions {
  readonly procedure: 'restore' | 'reconfigure';
  /** Where the registry keeps its objects at first; default: a folder. */
  readonly source?: RegistryStorage;
  /** Default: the bucket. */
  readonly target?: string;
  /** Lines of the migration file. */
  readonly more?: readonly string[];
  /** Lines of its section `platform`; they replace those of the same name. */
  readonly platform?: readonly string[];
  readonly msr?: Partial<MsrOptions>;
}

export interface MigrateWorld {
  readonly msr: Msr;
  readonly bucket: S3Bucket;
  /** Folder of everything. */
  readonly folder: string;
  /** Where the registry keeps its objects at first. */
  readonly storage: string;
  readonly file: string;
  /** What a shell needs that runs printed commands. */
  readonly env: Readonly<Record<string, string>>;
  migrate(args: readonly string[], options?: CliOptions): Promise<CliResult>;
  stop(): Promise<void>;
}

export async function startMigrateWorld(options: MigrateOptions): Promise<MigrateWorld> {
  const folder = await makeTempFolder('migrate');
  const storage = join(folder.path, 'storage');
  const tls = makeCertificate({ names: ['127.0.0.1'] });
  const s3 = await startS3Server({ buckets: ['registry'] });
  const access = { endpoint: s3.endpoint, accessKeyId: 'testkey', secretAccessKey: 'testsecret' };
  const bucket = new S3Bucket(access, 'registry');
  const msr = await startMsr({
    storage: options.source ?? { filesystem: storage },
    replicas: 3,
    ...options.msr,
  });
  const front = await startFront(msr, tls);
  const file = join(folder.path, 'move.yml');
  await writeFile(join(folder.path, 'ca.pem'), tls.cert);
  await writeFile(
    join(folder.path, 'new.yml'),
    storageYaml({ s3: { ...access, bucket: 'registry', rootDirectory: '/msr' } }),
  );
  if (options.source) await writeFile(join(folder.path, 'old.yml'), storageYaml(options.source));
  await writeFile(file, migrationText(options, front.url, storage));
  const env = { ...msr.environment, MSR_TOKEN: msr.addToken(), UCP_PASSWORD: 'mke-password' };
  return {
    msr,
    bucket,
    folder: folder.path,
    storage,
    file,
    env,
    migrate: (args, more = {}) =>
      runBlobferry(['migrate', file, ...args], { ...more, env: { ...env, ...more.env } }),
    stop: async () => {
      await front.stop();
      await msr.stop();
      bucket.close();
      await s3.close();
      await folder.remove();
    },
  };
}

function migrationText(options: MigrateOptions, url: string, storage: string): string {
  const { procedure, more = [], platform = [] } = options;
  const given = platform.map((line) => line.split(':', 1)[0]);
  const section = [
    'kind: msr',
    `url: ${url}`,
    'username: admin',
    'tokenEnv: MSR_TOKEN',
    'ca: ca.pem',
    'cli: docker',
    'image: mirantis/dtr:2.9.18',
    'replicaId: f1e2d3c4b5a0',
    ...(procedure === 'restore' ? ['ucpNode: node-1'] : []),
    'mke: { url: https://mke.example.com, username: admin, passwordEnv: UCP_PASSWORD, insecure: true }',
  ].filter((line) => !given.includes(line.split(':', 1)[0]));
  return [
    `source: ${options.source ? 'old.yml' : `file://${storage}`}`,
    `target: ${options.target ?? 'new.yml'}`,
    `procedure: ${procedure}`,
    'platform:',
    ...[...section, ...platform].map((line) => `  ${line}`),
    ...more,
    '',
  ].join('\n');
}

/** What pushes and pulls in tests speaks plain HTTP; blobferry speaks to MSR over TLS alone. */
async function startFront(msr: Msr, tls: { readonly cert: string; readonly key: string }) {
  const server = createServer({ cert: tls.cert, key: tls.key }, (incoming, outgoing) => {
    const { method, url, headers } = incoming;
    if (url === '/ca') return void outgoing.end(tls.cert);
    const [host = '', port = ''] = msr.host.split(':');
    const onward = request({ host, port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.once('error', () => outgoing.destroy());
      answer.pipe(outgoing);
    });
    onward.once('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async (): Promise<void> => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
