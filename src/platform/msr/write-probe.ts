/**
 * Does the registry take a push? Begins an upload through `/v2/` and, should that succeed, cancels it at once. The probe
 * writes when it finds that one can: it is for a registry that is said to be read-only.
 */
import type { MsrAnswer, MsrConnection, MsrRequest } from './msr-connection.ts';
import { isMsrError } from './msr-error.ts';
import { type GetAccess, PullError } from './pull/http-get.ts';
import { RegistryPuller } from './pull/registry-puller.ts';
import { bearerFor } from './registry-token.ts';

/** What became of the attempt to begin an upload. */
export type WriteProbe =
  /** As a registry without its handlers for writing answers. */
  | { readonly is: 'refused'; readonly status: number }
  /** An upload was begun (and cancelled): somebody writes to the storage. */
  | { readonly is: 'accepted' }
  /** It says nothing: missing rights, no answer, another failure. */
  | { readonly is: 'unknown'; readonly why: string };

/**
 * Into the first repository that the registry lists, once for each replica, as a balancer in front of them gives each its
 * turn. @returns the first answer that is no refusal.
 */
export async function probeWrites(
  msr: MsrConnection,
  signal: AbortSignal,
  access: GetAccess,
  replicas: number,
): Promise<WriteProbe> {
  let found: WriteProbe = { is: 'unknown', why: 'it lists no repository' };
  try {
    const [repository] = await new RegistryPuller(msr, access).repositories(1, signal);
    if (repository === undefined) return found;
    for (let probes = 0; probes < replicas; probes += 1) {
      found = await probeWrite(msr, signal, repository);
      if (found.is !== 'refused') return found;
    }
  } catch (error) {
    if (error instanceof PullError) return { is: 'unknown', why: error.message };
    throw error;
  }
  return found;
}

/** @param repository `namespace/name`; the user needs the right to push there. */
export async function probeWrite(
  msr: MsrConnection,
  signal: AbortSignal,
  repository: string,
): Promise<WriteProbe> {
  try {
    return await probe(msr, signal, repository);
  } catch (error) {
    if (isMsrError(error)) return { is: 'unknown', why: error.message };
    throw error;
  }
}

async function probe(msr: MsrConnection, signal: AbortSignal, repository: string): Promise<WriteProbe> {
  const path = `/v2/${repository.split('/').map(encodeURIComponent).join('/')}/blobs/uploads/`;
  const request = {
    method: 'POST',
    operation: `begin an upload to "${repository}"`,
    path,
    accepts: [401, 403, 404, 405],
  } as const;
  let authorization: MsrRequest['authorization'];
  let answer = await msr.send(signal, request);
  if (answer.status === 401) {
    authorization = await bearerFor(msr, signal, answer.headers.get('www-authenticate') ?? '');
    if (authorization) answer = await msr.send(signal, { ...request, authorization });
  }
  // Read-only means that the handlers for writing are not there, which is 405 for their paths.
  if (answer.status === 405) return { is: 'refused', status: 405 };
  if (answer.status !== 202) return { is: 'unknown', why: `it answered ${answer.status}` };
  await cancel(msr, signal, answer, authorization);
  return { is: 'accepted' };
}

/** An upload that stays open is purged by the registry in a week: a failure here is none of the probe's. */
async function cancel(
  msr: MsrConnection,
  signal: AbortSignal,
  { headers }: MsrAnswer,
  authorization: MsrRequest['authorization'],
): Promise<void> {
  const location = URL.parse(headers.get('location') ?? '', msr.name);
  if (location?.origin !== msr.name) return;
  const path = `${location.pathname}${location.search}`;
  const request = { method: 'DELETE', operation: 'cancel the upload', path } as const;
  try {
    await msr.send(signal, { ...request, ...(authorization ? { authorization } : {}) });
  } catch (error) {
    if (!isMsrError(error)) throw error;
  }
}
