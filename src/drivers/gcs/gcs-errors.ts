/** What an answer of Cloud Storage means, as an error of the driver: XML from the one API, JSON from the other. */
import type { StorageError } from '../../core/errors.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { type HttpCall, type Meaning, refusedError } from '../http/call.ts';
import { codeSafely, saidSafely } from '../http/said.ts';
import { textOf } from '../http/xml.ts';
import {
  meaningOfGcsCode,
  NO_BUCKET,
  NO_SERVICE,
  OF_RIGHTS,
  OF_TOKEN,
  ROLES,
  THROTTLED,
} from './gcs-error-codes.ts';

/** Refusals are short; what is not is no refusal of the service. */
const REFUSAL_BYTES_MAX = 64 * 1024;

interface Said {
  readonly code: string | undefined;
  readonly words: string;
}

export function errorOfGcs(call: HttpCall, response: HttpResponse): StorageError {
  const { status, headers } = response;
  const text = response.body.toString('utf8', 0, REFUSAL_BYTES_MAX);
  const said = text.trimStart().startsWith('{') ? saidInJson(text) : saidInXml(text);
  const code = codeSafely(said.code, call.secrets);
  const words = saidSafely(said.words, call.secrets);
  const reason = code === '' ? `status ${status}` : [code, words].filter(Boolean).join(': ');
  return refusedError(call, { status, headers, code, reason }, meaningOf(call, response, { code, words }));
}

function saidInXml(text: string): Said {
  // The Message is for people in general, the Details are about this request.
  const words = [textOf(text, 'Message'), textOf(text, 'Details')].filter(Boolean).join(' ');
  return { code: textOf(text, 'Code'), words };
}

/** `{"error":{"code":403,"message":"…","errors":[{"reason":"forbidden"}]}}` */
function saidInJson(text: string): Said {
  try {
    const { error } = JSON.parse(text) as {
      error?: { message?: unknown; errors?: readonly { reason?: unknown }[] };
    };
    const reason = error?.errors?.[0]?.reason;
    return {
      code: typeof reason === 'string' ? reason : undefined,
      words: typeof error?.message === 'string' ? error.message : '',
    };
  } catch {
    return { code: undefined, words: '' };
  }
}

/** The service names the permission that is missing, mostly: `… does not have storage.objects.create access to …`. */
function ofRights(words: string): Meaning {
  const [permission] = /\bstorage\.[a-zA-Z]+\.[a-zA-Z]+\b/.exec(words) ?? [];
  if (permission === undefined) return OF_RIGHTS;
  return { ...OF_RIGHTS, hint: `Give this account the permission ${permission}: ${ROLES}` };
}

/** HEAD answers have no body, so only the status tells. */
function meaningOf(
  call: HttpCall,
  { status, headers }: HttpResponse,
  { code, words }: { readonly code: string; readonly words: string },
): Meaning {
  const known = meaningOfGcsCode(code);
  if (known === OF_RIGHTS) return ofRights(words);
  if (known) return known;
  if (status === 404 && call.key === undefined) return code === '' ? NO_SERVICE : NO_BUCKET;
  if (status === 404) return { kind: 'not-found' };
  if (status === 401) return OF_TOKEN;
  if (status === 403) return ofRights(words);
  if (status === 408) return { kind: 'timeout', isTransient: true };
  if (status === 409) return { kind: 'unavailable', isTransient: true };
  if (status === 412) return { kind: 'precondition' };
  if (status === 416) return { kind: 'range' };
  if (status === 429) return THROTTLED;
  // A balancer whose servers are gone says 503, too.
  if (status === 503 && (code !== '' || headers.has('retry-after'))) return THROTTLED;
  if (status === 501) return { kind: 'unsupported' };
  if (status >= 500) return { kind: 'unavailable', isTransient: true };
  if (status >= 300 && status < 400) {
    return { kind: 'unsupported', scope: 'backend', hint: 'Check the endpoint: it sends requests elsewhere' };
  }
  return { kind: 'unexpected' };
}
