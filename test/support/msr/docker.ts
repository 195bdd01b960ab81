/** The client of the stand-in's Docker: what `docker` in PATH runs. `BLOBFERRY_TEST_DOCKER` says where the daemon is. */
import { request } from 'node:http';
import { FRAME_KINDS } from './docker-frames.ts';

const args = process.argv.slice(2);
const named = args.flatMap((arg, at) =>
  ['-e', '--env'].includes(args[at - 1] ?? '') ? [arg] : arg.startsWith('--env=') ? [arg.slice(6)] : [],
);
const environment = Object.fromEntries(
  named.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
);
const isTty = process.stdout.isTTY === true || process.stdin.isTTY === true;
const client = Buffer.from(JSON.stringify({ args, environment, isTty })).toString('base64');

const call = request(process.env['BLOBFERRY_TEST_DOCKER'] ?? '', {
  method: 'POST',
  headers: { 'x-docker-client': client },
});
call.on('error', (error) => {
  process.stderr.write(`Cannot connect to the Docker daemon: ${error.message}\n`);
  process.exitCode = 1;
});
call.on('response', async (response) => {
  let held: Buffer = Buffer.alloc(0);
  let exitCode = 1;
  for await (const piece of response) {
    held = Buffer.concat([held, piece as Buffer]);
    while (held.length >= 5) {
      const sizeBytes = held.readUInt32BE(1);
      if (held.length < 5 + sizeBytes) break;
      const bytes = held.subarray(5, 5 + sizeBytes);
      const kind = FRAME_KINDS[held[0] ?? 0];
      held = held.subarray(5 + sizeBytes);
      if (kind === 'exit') exitCode = bytes[0] ?? 1;
      else process[kind ?? 'stderr'].write(bytes);
    }
  }
  process.exitCode = exitCode;
});
// Standard input reaches the container only with -i.
if (args.some((arg) => ['-i', '-it', '--interactive'].includes(arg)) && !process.stdin.isTTY) {
  process.stdin.pipe(call);
} else {
  call.end();
}
