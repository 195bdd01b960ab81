/** A service of the bench in a process of its own, so that its CPU is not the copier's. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { S3ServerStats } from '../s3-server/stats.ts';
import type { ServiceKind } from './kinds.ts';
import type { ServiceKey } from './service.ts';

export interface ServiceCall {
  readonly id: number;
  readonly call: 'stats' | 'keys' | 'sha256' | 'clear' | 'close';
  readonly args: readonly unknown[];
}

export type ServiceAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

export interface ServiceProcess {
  readonly kind: ServiceKind;
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  stats(): Promise<S3ServerStats<string>>;
  keys(container: string): Promise<readonly ServiceKey[]>;
  sha256(container: string, key: string): Promise<string | undefined>;
  clear(container: string): Promise<void>;
  close(): Promise<void>;
}

export async function startServiceProcess(
  kind: ServiceKind,
  containers: readonly string[],
): Promise<ServiceProcess> {
  const child = fork(fileURLToPath(new URL('./process-entry.ts', import.meta.url)), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  child.send({ kind, containers });
  const [ready] = (await Promise.race([once(child, 'message'), exited])) as [
    { readonly port: number } | number | null,
  ];
  if (ready === null || typeof ready === 'number')
    throw new Error(`The bench's server for ${kind} ended with ${ready}`);
  const pending = new Map<number, PromiseWithResolvers<unknown>>();
  child.on('message', (answer: ServiceAnswer) => {
    const waiting = pending.get(answer.id);
    pending.delete(answer.id);
    if ('error' in answer) waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer.result);
  });
  child.on('exit', () => {
    for (const waiting of pending.values())
      waiting.reject(new Error(`The bench's server for ${kind} has ended`));
  });
  let nextId = 1;
  const ask = <T>(call: ServiceCall['call'], ...args: readonly unknown[]): Promise<T> => {
    const waiting = Promise.withResolvers<unknown>();
    const id = nextId++;
    pending.set(id, waiting);
    child.send({ id, call, args } satisfies ServiceCall);
    return waiting.promise as Promise<T>;
  };
  return {
    kind,
    endpoint: `http://127.0.0.1:${ready.port}`,
    stats: () => ask('stats'),
    keys: (container) => ask('keys', container),
    sha256: (container, key) => ask('sha256', container, key),
    clear: (container) => ask('clear', container),
    close: async () => {
      await ask('close');
      child.disconnect();
      await exited;
    },
  };
}
