/** What Swift says beside objects: where an account is, what it may still hold, what the cluster can do. */
import { openPoolTo, originOf } from '../../drivers/http/endpoint.ts';
import type { SwiftSpec } from '../../drivers/spec.ts';
import { authenticate } from '../../drivers/swift/swift-auth.ts';
import { encodePath } from '../../transport/sigv4.ts';

const TIMEOUT_MS = 30_000;
const ANSWER_BYTES_MAX = 1024 * 1024;

/**
 * The least that quotas of the container (`container_quotas`) and of the account (`account_quotas`) leave.
 * https://docs.openstack.org/swift/latest/middleware.html
 * @returns undefined where there is no quota, or it is not told.
 */
export async function swiftRoom(spec: SwiftSpec, signal: AbortSignal): Promise<number | undefined> {
  const { storageUrl, token } = await authenticate(spec, signal);
  const container = `${storageUrl}/${encodePath(spec.container).replaceAll('/', '%2F')}`;
  const rooms: number[] = [];
  for (const [address, of] of [
    [container, 'container'],
    [storageUrl, 'account'],
  ] as const) {
    const headers = await headersOf(spec, 'HEAD', address, token, signal);
    const quota = Number(headers?.get(`x-${of}-meta-quota-bytes`) || Number.NaN);
    const used = Number(headers?.get(`x-${of}-bytes-used`) || Number.NaN);
    if (Number.isFinite(quota) && Number.isFinite(used)) rooms.push(Math.max(0, quota - used));
  }
  return rooms.length === 0 ? undefined : Math.min(...rooms);
}

/**
 * Where the registry's driver sends clients: signed addresses below that of the account, where the cluster can check
 * them. https://docs.openstack.org/swift/latest/api/temporary_url_middleware.html
 * @returns undefined where it cannot.
 */
export async function swiftRedirect(spec: SwiftSpec, signal: AbortSignal): Promise<string | undefined> {
  const { storageUrl } = await authenticate(spec, signal);
  const { origin } = new URL(storageUrl);
  const info = await bodyOf(spec, `${origin}/info`, signal);
  // Without that the driver goes by tempurlmethods, which is empty mostly: rather too often asked than not.
  return info === undefined || hasTempUrl(info) ? storageUrl : undefined;
}

function hasTempUrl(info: Buffer): boolean {
  try {
    const { tempurl } = JSON.parse(info.toString('utf8')) as {
      readonly tempurl?: { readonly methods?: readonly string[] };
    };
    return tempurl?.methods?.includes('GET') === true;
  } catch {
    return true;
  }
}

async function headersOf(
  spec: SwiftSpec,
  method: 'HEAD' | 'GET',
  address: string,
  token: string | undefined,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string> | undefined> {
  const answer = await ask(spec, method, address, token, signal);
  return answer && answer.status < 300 ? answer.headers : undefined;
}

async function bodyOf(spec: SwiftSpec, address: string, signal: AbortSignal): Promise<Buffer | undefined> {
  const answer = await ask(spec, 'GET', address, undefined, signal);
  return answer?.status === 200 ? answer.body : undefined;
}

/** Undefined where nothing comes: what is asked here is worth knowing, and no more. */
async function ask(
  spec: SwiftSpec,
  method: 'HEAD' | 'GET',
  address: string,
  token: string | undefined,
  signal: AbortSignal,
) {
  const url = new URL(address);
  const pool = openPoolTo(originOf(url), spec);
  try {
    return await pool.request({
      method,
      target: url.pathname,
      headerLines: `host: ${url.host}\r\nuser-agent: blobferry\r\n${token === undefined ? '' : `x-auth-token: ${token}\r\n`}`,
      bodyBytes: 0,
      collectBytesMax: ANSWER_BYTES_MAX,
      headTimeoutMs: TIMEOUT_MS,
      // Its body is small, and is waited for no longer.
      signal: AbortSignal.any([signal, AbortSignal.timeout(2 * TIMEOUT_MS)]),
    });
  } catch {
    signal.throwIfAborted();
    return undefined;
  } finally {
    pool.close();
  }
}
