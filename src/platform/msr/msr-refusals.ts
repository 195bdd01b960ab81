/** Answers that are no success, and exchanges that broke: one table each, in the words of `MsrError`. */
import { z } from 'zod';
import { codeSafely, saidSafely } from '../../drivers/http/said.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { WireError, type WireFault } from '../../transport/http-types.ts';
import { jsonOf } from '../json-of.ts';
import { MsrError, type MsrErrorKind } from './msr-error.ts';

/** One call, as errors speak of it. */
export interface MsrCall {
  readonly server: string;
  readonly operation: string;
  readonly changesSomething: boolean;
  /** What no message may repeat. */
  readonly secrets: readonly string[];
}

interface Meaning {
  readonly kind: MsrErrorKind;
  readonly isTransient?: true;
  readonly hint?: string;
}

const BY_STATUS: Readonly<Record<number, Meaning>> = {
  401: {
    kind: 'unauthorized',
    hint: 'Check the user and its password or access token; a token may have been revoked or have expired',
  },
  403: { kind: 'forbidden', hint: 'Use the account of a system administrator of MSR' },
  404: { kind: 'not-found' },
  408: { kind: 'timeout', isTransient: true },
  429: { kind: 'throttled', isTransient: true },
  502: { kind: 'unavailable', isTransient: true },
  503: { kind: 'unavailable', isTransient: true },
  504: { kind: 'unavailable', isTransient: true },
};

/** The shape of MSR's errors: `{"errors":[{"code":"NO_SUCH_JOB","message":"…"}]}`. */
const ERRORS = z.object({
  errors: z.array(z.object({ code: z.string().optional(), message: z.string().optional() })).min(1),
});

export function errorOfAnswer(call: MsrCall, response: HttpResponse): MsrError {
  const { status } = response;
  const { code, message } = saidOf(response, call.secrets);
  const { kind, isTransient, hint } = meaningOf(status);
  const reason = `${message === '' ? 'it answered' : message} (${code === '' ? '' : `${code}, `}status ${status})`;
  return new MsrError(
    reason,
    {
      kind,
      server: call.server,
      operation: call.operation,
      status,
      ...(code === '' ? {} : { code }),
      isTransient: isTransient === true,
      // What answers with a failure of its own may have passed the request on.
      mayHaveActed: call.changesSomething && status >= 500,
    },
    { hint: status >= 300 && status < 400 ? redirectHint(response, call.secrets) : hint },
  );
}

function meaningOf(status: number): Meaning {
  const known = BY_STATUS[status];
  if (known) return known;
  if (status >= 500) return { kind: 'unexpected', isTransient: true };
  return { kind: status >= 400 ? 'refused' : 'unexpected' };
}

/** Credentials are never sent to where a redirect points. */
function redirectHint({ headers }: HttpResponse, secrets: readonly string[]): string {
  const location = saidSafely(headers.get('location') ?? '', secrets);
  return `It redirects to "${location}"; give the address at which MSR itself answers`;
}

function saidOf({ body }: HttpResponse, secrets: readonly string[]): { code: string; message: string } {
  const parsed = ERRORS.safeParse(jsonOf(body));
  const [first] = parsed.success ? parsed.data.errors : [];
  return { code: codeSafely(first?.code, secrets), message: saidSafely(first?.message ?? '', secrets) };
}

const BY_FAULT: Readonly<Record<WireFault, Meaning>> = {
  connect: {
    kind: 'unavailable',
    isTransient: true,
    hint: 'Check the address and port of MSR and the network; behind a proxy set HTTPS_PROXY',
  },
  tls: {
    kind: 'tls',
    hint: 'Name the authority of MSR with `ca`: compare the fingerprint of what the server offers under /ca with that of its operator',
  },
  proxy: { kind: 'unavailable', isTransient: true, hint: 'Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY' },
  'proxy-refused': { kind: 'forbidden', hint: 'Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY' },
  reset: { kind: 'unavailable', isTransient: true },
  stale: { kind: 'unavailable', isTransient: true },
  truncated: { kind: 'unavailable', isTransient: true },
  timeout: { kind: 'timeout', isTransient: true },
  'too-slow': { kind: 'timeout', isTransient: true },
  malformed: { kind: 'malformed', hint: 'Check that MSR listens there, and the scheme of its address' },
  'too-large': { kind: 'malformed', hint: 'Check that MSR listens there' },
};

/** Nothing of the request has left this machine when one of these comes. */
const BEFORE_SENDING: readonly WireFault[] = ['connect', 'tls', 'proxy', 'proxy-refused'];

/** A broken exchange; anything that is no WireError (an abort's reason) is passed on as it is. */
export function errorOfWire(call: MsrCall, error: unknown): unknown {
  if (!(error instanceof WireError)) return error;
  const { kind, isTransient, hint } = BY_FAULT[error.fault];
  return new MsrError(
    saidSafely(error.message, call.secrets),
    {
      kind,
      server: call.server,
      operation: call.operation,
      isTransient: isTransient === true,
      mayHaveActed: call.changesSomething && !BEFORE_SENDING.includes(error.fault),
    },
    { cause: error, hint: error.hint ?? hint },
  );
}
