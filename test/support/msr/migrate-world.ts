/** A stand-in behind TLS, a bucket for its new storage, and a migration file: what an end-to-end migration needs. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type S3Server, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { makeCertificate } from '../../../bench/support/certificate.ts';
import { type CliOptions, type CliResult, runBlobferry } from '../cli.ts';
import { type RegistryStorage, storageYaml } from '../registry.ts';
import { S3Bucket } from '../s3-bucket.ts';
import { makeTempFolder } from '../temp.ts';
import type { DockerGate } from './docker-daemon.ts';
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
  /** Is told of each call of the program's. */
  readonly gate?: Gate;
  /** The bucket counts what it is asked. */
  readonly logsRequests?: boolean;
}

/** A call of the program's on its way to a server; what pushes, pulls and the stand-in itself do is none. */
export interface WorldCall {
  readonly to: 'msr' | 'docker' | 's3';
  /** `POST /api/v0/jobs`, `docker run backup`, `PUT /registry/msr/…`. */
  readonly call: string;
}

/** Holds calls as long as it likes, and may have them lost. */
export interface Gate {
  /** Nothing has come of it yet. False: nothing ever does, and there is no answer. */
  asked(call: WorldCall): Promise<boolean>;
  /** It was carried out. False: there is no answer. */
  answered(call: WorldCall): Promise<boolean>;
}

export interface MigrateWorld {
  readonly msr: Msr;
  readonly s3: S3Server;
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
  const { gate } = options;
  const s3 = await startS3Server({ buckets: ['registry'], logsRequests: options.logsRequests === true });
  const access = { endpoint: s3.endpoint, accessKeyId: 'testkey', secretAccessKey: 'testsecret' };
  const bucket = new S3Bucket(access, 'registry');
  const msr = await startMsr({
    storage: options.source ?? { filesystem: storage },
    replicas: 3,
    ...options.msr,
  });
  const front = await startFront({ to: 'msr', host: msr.host, tls, gate });
  const s3Front = gate && (await startFront({ to: 's3', host: `127.0.0.1:${s3.port}`, gate }));
  if (gate) msr.docker.gate = dockerGate(gate);
  const file = join(folder.path, 'move.yml');
  await writeFile(join(folder.path, 'ca.pem'), tls.cert);
  await writeFile(
    join(folder.path, 'new.yml'),
    storageYaml({
      s3: { ...access, endpoint: s3Front?.url ?? s3.endpoint, bucket: 'registry', rootDirectory: '/msr' },
    }),
  );
  if (options.source) await writeFile(join(folder.path, 'old.yml'), storageYaml(options.source));
  await writeFile(file, migrationText(options, front.url, storage));
  const env = { ...msr.environment, MSR_TOKEN: msr.addToken(), UCP_PASSWORD: 'mke-password' };
  return {
    msr,
    s3,
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
      await s3Front?.stop();
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

function dockerGate(gate: Gate): DockerGate {
  return {
    asked: (call) => gate.asked({ to: 'docker', call }),
    answered: (call) => gate.answered({ to: 'docker', call }),
  };
}

interface FrontOptions {
  readonly to: 'msr' | 's3';
  /** Where it passes calls on, in plain HTTP. */
  readonly host: string;
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly gate: Gate | undefined;
}

/** What pushes and pulls in tests speaks plain HTTP; blobferry speaks to MSR over TLS alone. */
async function startFront({ to, host, tls, gate }: FrontOptions) {
  const [hostname = '', port = ''] = host.split(':');
  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const { method, url, headers } = incoming;
    if (tls && url === '/ca') return void outgoing.end(tls.cert);
    // The stand-in reads and writes its bucket as the registry does.
    const isOwn = /^aws-sdk-js/.test(headers['user-agent'] ?? '');
    const held = isOwn ? undefined : gate;
    const call: WorldCall = { to, call: `${method} ${url}` };
    // Whoever was killed meanwhile has sent nothing.
    if (held && (!(await held.asked(call)) || outgoing.destroyed)) return void outgoing.destroy();
    const onward = request({ host: hostname, port, method, path: url, headers }, (answer) => {
      const pass = (): void => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.once('error', () => outgoing.destroy());
        answer.pipe(outgoing);
      };
      if (!held) return pass();
      void held.answered(call).then((isLet) => (isLet ? pass() : outgoing.destroy()));
    });
    onward.once('error', () => outgoing.destroy());
    incoming.once('error', () => onward.destroy());
    incoming.pipe(onward);
  };
  const listener = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    void serve(incoming, outgoing);
  };
  const server = tls ? createTlsServer({ ...tls }, listener) : createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async (): Promise<void> => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
