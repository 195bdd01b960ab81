/**
 * What a shared access signature says of itself: all of it is signed, so it is what the service goes by
 * (https://learn.microsoft.com/rest/api/storageservices/create-account-sas and .../create-service-sas).
 */
import { StorageError } from '../../core/errors.ts';
import type { HttpResponse } from '../../transport/http-types.ts';

export interface Sas {
  /** Epoch milliseconds; absent where a stored access policy says it. */
  readonly startsAtMs?: number;
  readonly endsAtMs?: number;
  /** One of a stored access policy may say here what its policy does not. */
  readonly permissions: string | undefined;
  /** Of an account's: `s`, `c`, `o`. */
  readonly resourceTypes: string | undefined;
  /** Of an account's: `b`, `f`, `q`, `t`. */
  readonly services: string | undefined;
  /** Of a service's: `c` for a container, `b` for one blob. */
  readonly resource: string | undefined;
}

export function readSas(token: string): Sas {
  const given = new URLSearchParams(token);
  const text = (name: string): string | undefined => given.get(name) || undefined;
  const startsAtMs = Date.parse(text('st') ?? '');
  const endsAtMs = Date.parse(text('se') ?? '');
  return {
    ...(Number.isNaN(startsAtMs) ? {} : { startsAtMs }),
    ...(Number.isNaN(endsAtMs) ? {} : { endsAtMs }),
    permissions: text('sp'),
    resourceTypes: text('srt'),
    services: text('ss'),
    resource: text('sr'),
  };
}

const PERMISSIONS = { r: 'read (r)', w: 'write (w)', d: 'delete (d)', l: 'list (l)' } as const;
const TYPES = { c: 'the resource type container (c)', o: 'the resource type object (o)' } as const;

/** What a SAS cannot do and would have to, in words; nothing where a stored access policy has the say. */
export function lackingIn(sas: Sas, role: 'source' | 'target'): readonly string[] {
  const { permissions, resourceTypes, services, resource } = sas;
  const wanted = role === 'target' ? (['r', 'w', 'd', 'l'] as const) : (['r', 'l'] as const);
  const lacking: string[] = [];
  if (services !== undefined && !services.includes('b')) lacking.push('the service blob (b)');
  if (resource === 'b' || resource === 'bs' || resource === 'bv')
    lacking.push('the container, as it is one blob’s');
  for (const type of ['c', 'o'] as const)
    if (resourceTypes !== undefined && !resourceTypes.includes(type)) lacking.push(TYPES[type]);
  for (const one of wanted)
    if (permissions !== undefined && !permissions.includes(one)) lacking.push(PERMISSIONS[one]);
  return lacking;
}

/**
 * @param name of the storage.
 * @throws StorageError where the signature itself says that it does not permit what it is to be used for.
 */
export function demandSas(
  name: string,
  sas: Sas,
  role: 'source' | 'target',
  onNotice: (sentence: string) => void,
): void {
  const lacking = lackingIn(sas, role);
  if (lacking.length > 0) throw cannotBe(name, role, lacking);
  const soon = endsSoon(sas, name, Date.now());
  if (soon !== undefined) onNotice(soon);
}

function cannotBe(backend: string, role: 'source' | 'target', lacking: readonly string[]): StorageError {
  const operation = `use as a ${role}`;
  return new StorageError(
    `Cannot use ${backend} as a ${role}: its SAS lacks ${lacking.join(', ')}`,
    { kind: 'denied', backend, operation, isTransient: false, scope: 'backend' },
    {
      hint:
        role === 'target'
          ? 'Give a SAS of the container with read, write, delete and list permission (sp=rwdl; of an account with ss=b&srt=co)'
          : 'Give a SAS of the container with read and list permission (sp=rl; of an account with ss=b&srt=co)',
    },
  );
}

/** The same refusal, saying so where it is a matter of time. */
export function toldOfSas(
  error: StorageError,
  { headers }: Pick<HttpResponse, 'headers'>,
  sas: Sas | undefined,
): StorageError {
  const isRefused = /^Auth(?:enticationFailed|orizationFailure)$/.test(error.details.backendCode ?? '');
  if (sas === undefined || !isRefused) return error;
  const serverMs = Date.parse(headers.get('date') ?? '');
  const hint = whyNotNow(sas, Number.isNaN(serverMs) ? Date.now() : serverMs);
  return hint === undefined ? error : new StorageError(error.message, error.details, { hint });
}

/** Why a SAS is refused at this time of the server's, and what to do; undefined where it is no matter of time. */
export function whyNotNow({ startsAtMs, endsAtMs }: Sas, serverMs: number): string | undefined {
  if (endsAtMs !== undefined && endsAtMs <= serverMs)
    return `The SAS ended at ${timeText(endsAtMs)}: give a new one and run again, what was copied stays`;
  if (startsAtMs !== undefined && startsAtMs > serverMs)
    return `The SAS is good only from ${timeText(startsAtMs)} on: wait until then, or give another one`;
  return undefined;
}

/** A run that goes on for longer would end in the middle. */
const SOON_MS = 24 * 3_600_000;

/** @param name of the storage. */
export function endsSoon({ endsAtMs }: Sas, name: string, nowMs: number): string | undefined {
  if (endsAtMs === undefined || endsAtMs - nowMs > SOON_MS) return undefined;
  if (endsAtMs <= nowMs)
    return `The SAS of ${name} ended at ${timeText(endsAtMs)}, by the clock of this machine: give a new one`;
  return `The SAS of ${name} ends at ${timeText(endsAtMs)} and cannot be renewed by itself: a run that takes longer stops then and goes on with a new one`;
}

function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
