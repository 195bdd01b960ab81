/** What Azure's own library throws, as StorageErrors: by the same tables as the direct engine's answers. */
import type { RestError } from '@azure/storage-blob';
import { StorageError } from '../../core/errors.ts';
import { type HttpResponse, type Origin, WireError } from '../../transport/http-types.ts';
import type { HttpProxy } from '../../transport/proxy.ts';
import { refusalOf } from '../../transport/tunnel.ts';
import { type HttpCall, malformed } from '../http/call.ts';
import { saidSafely } from '../http/said.ts';
import { errorOfWire } from '../http/wire-errors.ts';
import type { AzureAccess } from '../spec.ts';
import { azureErrorOf } from './azure-errors.ts';
import { readSas, toldOfSas } from './azure-sas.ts';

/** A proxy that plain requests are given to: whatever it says looks like the service's own answer. */
export interface Forwarding {
  readonly proxy: HttpProxy;
  readonly origin: Origin;
}

/** The library's own error has the request in it, signature and all: it is never passed on as the cause. */
export function errorOfAzureSdk(
  call: HttpCall,
  error: unknown,
  { access, forwarding }: { readonly access: AzureAccess; readonly forwarding?: Forwarding | undefined },
): unknown {
  if (error instanceof StorageError || error instanceof WireError) return errorOfWire(call, error);
  if (!(error instanceof Error)) return error;
  const response = responseIn(error);
  // Such as a listing that is cut, or an answer that lacks what every blob has.
  if (!response || response.status < 300)
    return malformed(
      call,
      `Azure's library can make nothing of the answer: ${saidSafely(error.message, call.secrets)}`,
    );
  const { status, headers } = response;
  const isRefusal = [403, 407, 502, 503, 504].includes(status) && !headers.has('retry-after');
  if (forwarding && isRefusal && !headers.has('x-ms-request-id'))
    return errorOfWire(call, refusalOf(forwarding.proxy, forwarding.origin, { status }));
  const sas = access.type === 'sas' ? readSas(access.token) : undefined;
  return toldOfSas(azureErrorOf(call, response, access.type), response, sas);
}

function responseIn(error: Error): HttpResponse | undefined {
  const { statusCode, response } = error as Partial<RestError>;
  if (statusCode === undefined || !response) return undefined;
  const body = Buffer.from(response.bodyAsText ?? '');
  const headers = new Map(Object.entries(response.headers.toJSON()));
  return { status: statusCode, headers, body, intoBytes: 0, isOverflow: false };
}
