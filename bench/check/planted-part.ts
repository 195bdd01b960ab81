/**
 * Sends the target parts whose checksums are wrong, before each run, and looks whether it refuses them: figures that
 * were measured against a server which takes anything would say nothing.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { RawClient, type RawResponse } from '../s3-server/client/raw-client.ts';
import { sha256Hex } from '../s3-server/client/sign-request.ts';

export interface Planted {
  /** What was wrong with the part, and the code it was refused with (or `accepted`). */
  readonly answers: Readonly<Record<string, string>>;
  /** All of them were, and none of their bytes were kept. */
  readonly isRefused: boolean;
}

export interface PlantedAt {
  readonly endpoint: string;
  readonly bucket: string;
  readonly ca?: string | undefined;
  /** Default true; false: the server knows no checksums, and can refuse no wrong one. */
  readonly checksums?: boolean | undefined;
}

/** Below no path of a workload, and gone afterwards. */
const TARGET_KEY = 'planted-by-the-bench';
const BODY = Buffer.alloc(100_000, 'part');

export async function plantBadParts({ endpoint, bucket, ca, checksums = true }: PlantedAt): Promise<Planted> {
  const client = new RawClient(endpoint, ca === undefined ? {} : { ca });
  try {
    return await plant(client, `/${bucket}/${TARGET_KEY}`, checksums);
  } finally {
    client.close();
  }
}

async function plant(client: RawClient, target: string, checksums: boolean): Promise<Planted> {
  const begun = await client.send({ method: 'POST', target: `${target}?uploads` });
  const id = /<UploadId>([^<]+)</.exec(begun.text)?.[1];
  if (id === undefined) throw new Error(`No upload could be begun: ${begun.status} ${begun.text}`);
  const upload = `uploadId=${encodeURIComponent(id)}`;
  const flipped = Buffer.from(BODY);
  flipped[50_000] = (flipped[50_000] ?? 0) ^ 1;
  const send = (more: Parameters<RawClient['send']>[0] | object): Promise<RawResponse> =>
    client.send({ method: 'PUT', target: `${target}?partNumber=1&${upload}`, body: flipped, ...more });
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(BODY));
  const replies = {
    'payload sha256': await send({ payloadHash: sha256Hex(BODY) }),
    'Content-MD5': await send({
      headers: { 'content-md5': createHash('md5').update(BODY).digest('base64') },
    }),
    ...(checksums
      ? { CRC32: await send({ headers: { 'x-amz-checksum-crc32': crc.toString('base64') } }) }
      : {}),
  };
  const listed = await client.send({ target: `${target}?${upload}` });
  await client.send({ method: 'DELETE', target: `${target}?${upload}` });
  const answers = Object.fromEntries(
    Object.entries(replies).map(([what, { status, code }]) => [what, status === 400 ? code : 'accepted']),
  );
  const isKept = listed.status !== 200 || listed.text.includes('<Part>');
  return { answers, isRefused: !isKept && !Object.values(answers).includes('accepted') };
}
