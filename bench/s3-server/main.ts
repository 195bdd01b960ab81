/**
 * The server as a process of its own, so that its CPU time is apart from the copier's:
 *   node bench/s3-server/main.ts --port 0 --buckets a,b [--storage DIR] [--region R] [--tls-key F --tls-cert F] …
 * Prints one JSON line with endpoint and pid when it listens; ends on SIGTERM, SIGINT or when its stdin closes.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type BackendOptions, openBackend } from './backend.ts';

const HELP = `Usage: node bench/s3-server/main.ts [options]
  --port N                 default 0: any free port
  --buckets A,B            buckets that exist from the start
  --access-key K --secret-key S   default testkey, testsecret
  --region R               the only region signatures may name; default: any
  --storage DIR            contents in a file under DIR instead of memory
  --tls-key FILE --tls-cert FILE  PEM; https
  --no-checksums           as Ceph 16: no x-amz-checksum-*, no trailers
  --checks-nothing         accepts wrong hashes and checksums
  --discard                contents above 4 KiB are checked and forgotten
  --copy-checksums WHICH   of CopyObject: computed (default), copied from the source, none
  --opaque-etags           ETags are no MD5s (less CPU)
  --stay                   do not end when stdin closes
`;

function readOptions(): { readonly server: BackendOptions; readonly stays: boolean } {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      buckets: { type: 'string', default: '' },
      'access-key': { type: 'string' },
      'secret-key': { type: 'string' },
      region: { type: 'string' },
      storage: { type: 'string' },
      'tls-key': { type: 'string' },
      'tls-cert': { type: 'string' },
      'no-checksums': { type: 'boolean', default: false },
      'checks-nothing': { type: 'boolean', default: false },
      'opaque-etags': { type: 'boolean', default: false },
      'copy-checksums': { type: 'string', default: 'computed' },
      discard: { type: 'boolean', default: false },
      stay: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new Error(`--port ${values.port} is no port`);
  const key = values['tls-key'];
  const cert = values['tls-cert'];
  if ((key === undefined) !== (cert === undefined)) throw new Error('--tls-key and --tls-cert go together');
  const tls =
    key !== undefined && cert !== undefined
      ? { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
      : undefined;
  const copyChecksums = (['computed', 'copied', 'none'] as const).find(
    (one) => one === values['copy-checksums'],
  );
  if (copyChecksums === undefined) throw new Error(`--copy-checksums ${values['copy-checksums']} is none`);
  const server: BackendOptions = {
    port,
    copyChecksums,
    buckets: values.buckets.split(',').filter((name) => name !== ''),
    ...(values['access-key'] === undefined ? {} : { accessKeyId: values['access-key'] }),
    ...(values['secret-key'] === undefined ? {} : { secretAccessKey: values['secret-key'] }),
    ...(values.region === undefined ? {} : { region: values.region }),
    ...(values.storage === undefined ? {} : { storage: { directory: values.storage } }),
    ...(values.discard ? { storage: 'discard' } : {}),
    ...(tls ? { tls } : {}),
    checksums: !values['no-checksums'],
    checksNothing: values['checks-nothing'],
    opaqueEtags: values['opaque-etags'],
  };
  return { server, stays: values.stay };
}

async function main(): Promise<void> {
  const { server, stays } = readOptions();
  const backend = await openBackend(server, 'process');
  const end = async (): Promise<void> => {
    await backend.close();
    process.exit(0);
  };
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  if (!stays) process.stdin.once('close', end).resume();
  const endpoint = `${server.tls ? 'https' : 'http'}://127.0.0.1:${backend.port}`;
  process.stdout.write(`${JSON.stringify({ endpoint, pid: process.pid })}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${HELP}`);
  process.exitCode = 2;
}
