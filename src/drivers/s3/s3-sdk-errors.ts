/** The SDK's exceptions as StorageErrors, through the same tables as the direct engine's answers. */
import { StorageError } from '../../core/errors.ts';
import { type Origin, WireError } from '../../transport/http-types.ts';
import type { HttpProxy } from '../../transport/proxy.ts';
import { refusalOf } from '../../transport/tunnel.ts';
import { connectError, wireErrorOf } from '../../transport/wire-errors.ts';
import { type HttpCall, retryAfterMsOf, subject } from '../http/call.ts';
import { codeSafely, saidSafely } from '../http/said.ts';
import { errorOfWire } from '../http/wire-errors.ts';
import { meaningOf, reasonWithoutCode } from './s3-errors.ts';

interface SdkError extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
  readonly code?: string;
  /** As the answer has it. */
  readonly Code?: unknown;
}

/** A proxy that plain requests are given to: whatever it says looks like the server's own answer. */
export interface Forwarding {
  readonly proxy: HttpProxy;
  readonly origin: Origin;
}

/** What the SDK says where an answer has no message, as Ceph's have none. */
const NO_MESSAGE = 'UnknownError';

/** What the SDK makes of an answer without a code in it; of some statuses it makes up a name. */
function hasNoCode({ name, message, Code }: SdkError): boolean {
  if (typeof Code === 'string' && Code !== '' && Code === name) return false;
  return /^(?:\d+|Unknown|UnknownError|Error|SyntaxError)$/.test(name) || message === NO_MESSAGE;
}

export function errorOfSdk(call: HttpCall, error: unknown, forwarding?: Forwarding): unknown {
  if (!(error instanceof Error) || error.name === 'AbortError' || error instanceof StorageError) return error;
  const status = (error as SdkError).$metadata?.httpStatusCode;
  if (status === undefined) return errorWithoutAnswer(call, error, forwarding);
  const { $metadata, $response, name } = error as SdkError;
  const isRefusal = [403, 407, 502, 503, 504].includes(status) && $metadata?.requestId === undefined;
  if (forwarding && isRefusal && hasNoCode(error)) {
    return errorOfWire(call, refusalOf(forwarding.proxy, forwarding.origin, { status }));
  }
  const code = hasNoCode(error) ? '' : codeSafely(name, call.secrets);
  const headers = $response?.headers ?? {};
  const retryAfterMs = retryAfterMsOf(headers['retry-after'], headers['date']);
  const isFromService = $metadata?.requestId !== undefined || headers['retry-after'] !== undefined;
  const meaning = meaningOf({ code, status, isOfBucket: call.key === undefined, isFromService });
  const reason =
    code === ''
      ? reasonWithoutCode(status, $response?.headers?.['location'])
      : [code, error.message === NO_MESSAGE ? '' : saidSafely(error.message, call.secrets)]
          .filter(Boolean)
          .join(': ');
  return new StorageError(
    `Cannot ${call.operation} ${subject(call)}: ${reason}`,
    {
      ...baseOf(call),
      kind: meaning.kind,
      status,
      ...(code === '' ? {} : { backendCode: code }),
      isTransient: meaning.isTransient ?? false,
      scope: meaning.scope ?? 'object',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
    { cause: withoutAnswer(error), hint: meaning.hint },
  );
}

/** The SDK keeps the whole refusal in its exceptions, where a server may have repeated the request with its token. */
function withoutAnswer(error: Error): Error {
  if (!('$metadata' in error || '$response' in error || '$responseBodyText' in error)) return error;
  const { name, stack = '' } = error;
  const bare = new Error('the SDK met this');
  bare.name = name;
  const frames = stack.split('\n').filter((line) => /^ {4}at /.test(line));
  bare.stack = [`${codeSafely(name)}: the SDK met this`, ...frames].join('\n');
  return bare;
}

/** No answer at all: the network, or a body that ended early. */
function errorWithoutAnswer(call: HttpCall, error: Error, forwarding: Forwarding | undefined): unknown {
  const wire = wireErrorOf(error) ?? timeoutOf(error);
  if (forwarding && (wire?.fault === 'connect' || wire?.fault === 'tls')) {
    return errorOfWire(call, connectError(error, forwarding.proxy.name));
  }
  if (wire) return errorOfWire(call, wire);
  const { code } = error as SdkError;
  return new StorageError(
    `Cannot ${call.operation} ${subject(call)}: ${saidSafely(error.message, call.secrets)}`,
    {
      ...baseOf(call),
      kind: 'unavailable',
      isTransient: true,
      scope: 'object',
      ...(code ? { backendCode: code } : {}),
    },
    { cause: withoutAnswer(error), hint: 'Check the endpoint, its port and the network' },
  );
}

function timeoutOf(error: Error): WireError | undefined {
  if (error.name !== 'TimeoutError') return undefined;
  return /establish a connection/.test(error.message)
    ? new WireError('connect', 'no connection within 10 s', error)
    : new WireError('timeout', 'No answer within 60 s', error);
}

function baseOf(call: HttpCall) {
  const keyed = call.key === undefined ? {} : { key: call.key };
  return { backend: call.backend, operation: call.operation, ...keyed };
}
