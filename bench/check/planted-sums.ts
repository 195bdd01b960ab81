/** Sends a service bodies whose checksums are wrong, before each run: figures of one that takes anything would say nothing. */
import { TOKEN } from '../service-servers/gcs-dialect.ts';
import type { ServiceKind } from '../service-servers/kinds.ts';
import type { ServiceProcess } from '../service-servers/service-process.ts';
import type { Planted } from './planted-part.ts';

const BODY = Buffer.alloc(100_000, 'part');
const [WRONG_MD5, WRONG_CRC32C, WRONG_CRC64] = [16, 4, 8].map((bytes) =>
  Buffer.alloc(bytes, 0x5a).toString('base64'),
);

interface Plant {
  /** With the container in it. */
  path(container: string): string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the refusal. */
  readonly status: number;
  /** Headers of each wrong checksum, by its name. */
  readonly wrong: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const PLANTS: Readonly<Record<ServiceKind, Plant>> = {
  azure: {
    path: (container) => `/testaccount/${container}/planted`,
    headers: { authorization: 'SharedKey testaccount:', 'x-ms-blob-type': 'BlockBlob' },
    status: 400,
    wrong: { MD5: { 'content-md5': `${WRONG_MD5}` }, CRC64: { 'x-ms-content-crc64': `${WRONG_CRC64}` } },
  },
  gcs: {
    path: (container) => `/${container}/planted`,
    headers: { authorization: `Bearer ${TOKEN}` },
    status: 400,
    wrong: {
      MD5: { 'x-goog-hash': `md5=${WRONG_MD5}` },
      CRC32C: { 'x-goog-hash': `crc32c=${WRONG_CRC32C}` },
    },
  },
  swift: {
    path: (container) => `/v1/AUTH_test/${container}/planted`,
    headers: { 'x-auth-token': TOKEN },
    status: 422,
    wrong: { ETag: { etag: '5a'.repeat(16) } },
  },
};

export async function plantWrongSums(server: ServiceProcess, container: string): Promise<Planted> {
  const { path, headers, status: refusal, wrong } = PLANTS[server.kind];
  const answers: Record<string, string> = {};
  for (const [name, sum] of Object.entries(wrong)) {
    const request = { method: 'PUT', headers: { ...headers, ...sum }, body: BODY };
    const { status } = await fetch(server.endpoint + path(container), request);
    answers[name] = status === refusal ? String(status) : 'accepted';
  }
  const isKept = (await server.keys(container)).length > 0;
  return { answers, isRefused: !isKept && !Object.values(answers).includes('accepted') };
}
