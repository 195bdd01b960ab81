/** Process entry for fork(): kind and containers as the first message, then calls; ends with its parent. */
import { once } from 'node:events';
import type { ServiceKind } from './kinds.ts';
import { Service } from './service.ts';
import type { ServiceAnswer, ServiceCall } from './service-process.ts';

if (!process.send) throw new Error('process-entry.ts is started by fork() only');
const send = process.send.bind(process);
process.once('disconnect', () => process.exit(0));
const [{ kind, containers }] = (await once(process, 'message')) as [
  { readonly kind: ServiceKind; readonly containers: readonly string[] },
];
const service = await Service.listen(kind, containers);
process.on('message', async ({ id, call, args }: ServiceCall) => {
  try {
    const method = service[call] as (...given: readonly unknown[]) => unknown;
    send({ id, result: await method.apply(service, [...args]) } satisfies ServiceAnswer);
  } catch (error) {
    send({ id, error: String(error) } satisfies ServiceAnswer);
  }
});
send({ port: service.port });
