/** The same server in a process of its own, with the same controls. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type AnswerMessage, type ReadyMessage, remoteBackend } from './remote-backend.ts';
import { type S3Server, type S3ServerOptions, serverOver } from './s3-server.ts';

export interface S3ServerProcess extends S3Server {
  readonly pid: number;
}

/** `threads` has no meaning here. Options go over the control channel, so no key stands on a command line. */
export async function startS3ServerProcess(options: S3ServerOptions = {}): Promise<S3ServerProcess> {
  const child = fork(fileURLToPath(new URL('./process-entry.ts', import.meta.url)), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  child.send(options as object);
  const [ready] = (await Promise.race([once(child, 'message'), exited])) as [ReadyMessage | number | null];
  if (ready === null || typeof ready === 'number' || 'failure' in ready) {
    child.kill();
    const why = ready !== null && typeof ready === 'object' ? ready.failure : `it exited with ${ready}`;
    throw new Error(`Cannot start the embedded S3 server: ${why}`);
  }
  const backend = remoteBackend(
    {
      post: (message) => void child.send(message),
      onAnswer: (listener) => child.on('message', (answer) => listener(answer as AnswerMessage)),
      onGone: (listener) => child.on('exit', () => listener('The embedded S3 server has ended')),
    },
    ready.port,
  );
  const server = serverOver(backend, options, async () => {
    child.disconnect();
    await exited;
  });
  return { ...server, pid: ready.pid };
}
