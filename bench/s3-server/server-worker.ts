/** Thread entry: a server of its own, controlled through the parent's port. */
import { parentPort, workerData } from 'node:worker_threads';
import { type BackendOptions, openBackend } from './backend.ts';
import { answerCall, type CallMessage, type ReadyMessage } from './remote-backend.ts';

const port = parentPort;
if (!port) throw new Error('server-worker.ts runs as a worker thread only');

try {
  const backend = await openBackend(workerData as BackendOptions, 'thread');
  port.on('message', async (message: CallMessage) => port.postMessage(await answerCall(backend, message)));
  port.postMessage({ port: backend.port, pid: process.pid } satisfies ReadyMessage);
} catch (error) {
  port.postMessage({
    failure: error instanceof Error ? error.message : String(error),
  } satisfies ReadyMessage);
}
