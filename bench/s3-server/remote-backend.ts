/** Calls to a backend in another thread or process: numbered requests and answers, in order. */
import { BACKEND_CALLS, type Backend, type BackendCall } from './backend.ts';

export interface CallMessage {
  readonly id: number;
  readonly call: BackendCall;
  readonly args: readonly unknown[];
}

export type AnswerMessage =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

/** First message of a server that listens, or that could not. */
export type ReadyMessage = { readonly port: number; readonly pid: number } | { readonly failure: string };

export async function answerCall(backend: Backend, message: CallMessage): Promise<AnswerMessage> {
  try {
    const method = backend[message.call] as (...args: unknown[]) => Promise<unknown>;
    return { id: message.id, result: await method.apply(backend, [...message.args]) };
  } catch (error) {
    return { id: message.id, error: error instanceof Error ? error.message : String(error) };
  }
}

export interface Channel {
  post(message: CallMessage): void;
  /** Called once; answers arrive here. */
  onAnswer(listener: (answer: AnswerMessage) => void): void;
  /** Called once; the other side is gone. */
  onGone(listener: (why: string) => void): void;
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export function remoteBackend(channel: Channel, port: number): Backend {
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let gone: string | undefined;
  channel.onAnswer((answer) => {
    const waiting = pending.get(answer.id);
    pending.delete(answer.id);
    if ('error' in answer) waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer.result);
  });
  channel.onGone((why) => {
    gone = why;
    for (const waiting of pending.values()) waiting.reject(new Error(why));
    pending.clear();
  });
  const call = (name: BackendCall, args: readonly unknown[]): Promise<unknown> => {
    if (gone !== undefined) return Promise.reject(new Error(gone));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = nextId++;
    pending.set(id, { resolve, reject });
    channel.post({ id, call: name, args });
    return promise;
  };
  const calls = BACKEND_CALLS.map((name) => [name, (...args: readonly unknown[]) => call(name, args)]);
  return { port, ...Object.fromEntries(calls) } as Backend;
}
