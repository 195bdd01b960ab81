/** Process entry for fork(): takes its options as the first message, then calls; ends with its parent. */
import { once } from 'node:events';
import { type BackendOptions, openBackend } from './backend.ts';
import { answerCall, type CallMessage, type ReadyMessage } from './remote-backend.ts';

if (!process.send) throw new Error('process-entry.ts is started by fork() only');
const send = process.send.bind(process);
process.once('disconnect', () => process.exit(0));
try {
  const [options] = (await once(process, 'message')) as [BackendOptions];
  const backend = await openBackend(options, 'process');
  process.on('message', async (message: CallMessage) => send(await answerCall(backend, message)));
  send({ port: backend.port, pid: process.pid } satisfies ReadyMessage);
} catch (error) {
  send({ failure: error instanceof Error ? error.message : String(error) } satisfies ReadyMessage);
}
