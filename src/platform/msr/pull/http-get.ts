/** One GET as a puller makes it: the body as it streams by, redirects told and not followed, never a secret in an error. */
import http from 'node:http';
import https from 'node:https';
import { BlobferryError } from '../../../core/errors.ts';

export interface GetAccess {
  /** PEM of authorities to trust besides those that Node trusts. */
  readonly ca?: readonly string[];
  readonly isInsecure: boolean;
  /** With HTTPS_PROXY and NO_PROXY. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** So long may nothing come; default 60 s. */
  readonly idleMsMax?: number;
}

export interface GetAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
}

const IDLE_MS_MAX = 60_000;
/** What trickles for longer than that would take days: 16 KiB a second. */
const BYTES_PER_MS_MIN = 16;

/**
 * @param onPiece takes the body of a 200 piece by piece; other bodies are read and forgotten.
 * @throws PullError
 */
export async function httpGet(
  url: URL,
  headers: Readonly<Record<string, string>>,
  access: GetAccess,
  signal: AbortSignal,
  onPiece: (piece: Buffer) => void,
): Promise<GetAnswer> {
  const startedMs = performance.now();
  try {
    const answer = await headOf(url, headers, access, signal);
    const status = answer.statusCode ?? 0;
    const { idleMsMax = IDLE_MS_MAX } = access;
    let bytes = 0;
    for await (const piece of answer) {
      bytes += (piece as Buffer).length;
      if (performance.now() - startedMs > idleMsMax + bytes / BYTES_PER_MS_MIN) throw tooSlow();
      if (status === 200) onPiece(piece as Buffer);
    }
    return { status, headers: answer.headers };
  } catch (error) {
    signal.throwIfAborted();
    // Addresses of redirects are signed: of them only the host is told.
    const code = (error as NodeJS.ErrnoException).code ?? 'the connection broke';
    throw new PullError(`${url.origin} did not answer: ${code}`, url.origin, { cause: error });
  }
}

export class PullError extends BlobferryError {
  /** `https://host` */
  readonly origin: string;

  /** Of the registry's own answer. */
  readonly status: number | undefined;

  constructor(
    message: string,
    origin: string,
    { status, cause }: { readonly status?: number; readonly cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.origin = origin;
    this.status = status;
  }
}

function tooSlow(): Error {
  return Object.assign(new Error('too slow'), { code: 'ETIMEDOUT' });
}

function headOf(
  url: URL,
  headers: Readonly<Record<string, string>>,
  { ca, isInsecure, env, idleMsMax = IDLE_MS_MAX }: GetAccess,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const isTls = url.protocol === 'https:';
    const tls = { rejectUnauthorized: !isInsecure, ...(ca ? { ca: [...ca] } : {}) };
    const agent = isTls
      ? new https.Agent({ ...tls, proxyEnv: { ...env } })
      : new http.Agent({ proxyEnv: { ...env } });
    const request = (isTls ? https : http).get(url, { headers, agent, signal, timeout: idleMsMax });
    request.once('response', resolve);
    request.once('error', reject);
    request.once('timeout', () => request.destroy(tooSlow()));
    request.once('close', () => agent.destroy());
  });
}
