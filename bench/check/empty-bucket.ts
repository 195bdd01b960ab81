/** Removes what a run has left in a bucket: objects and uploads that were begun and not ended. */
import { RawClient } from '../s3-server/client/raw-client.ts';
import { encode } from '../s3-server/client/sign-request.ts';
import type { S3Server } from '../s3-server/s3-server.ts';

const KEYS_PER_REQUEST = 1_000;
const UPLOAD = /<Upload>.*?<Key>([^<]*)<\/Key>.*?<UploadId>([^<]*)<\/UploadId>.*?<\/Upload>/gs;

export async function emptyBucket(
  server: S3Server,
  { bucket, ca }: { readonly bucket: string; readonly ca?: string | undefined },
): Promise<void> {
  const client = new RawClient(server.endpoint, ca === undefined ? {} : { ca });
  try {
    const keys = await server.keys(bucket);
    for (let from = 0; from < keys.length; from += KEYS_PER_REQUEST) {
      const some = keys.slice(from, from + KEYS_PER_REQUEST);
      const objects = some.map(({ key }) => `<Object><Key>${escaped(key)}</Key></Object>`).join('');
      const body = `<Delete><Quiet>true</Quiet>${objects}</Delete>`;
      await send(client, { method: 'POST', target: `/${bucket}?delete`, body });
    }
    while (await abortUploads(client, bucket));
  } finally {
    client.close();
  }
}

/** One page of them. @returns false when there were none. */
async function abortUploads(client: RawClient, bucket: string): Promise<boolean> {
  const listing = await send(client, { target: `/${bucket}?uploads` });
  const uploads = [...listing.matchAll(UPLOAD)];
  for (const [, key = '', id = ''] of uploads) {
    const path = key.split('/').map(encode).join('/');
    await send(client, { method: 'DELETE', target: `/${bucket}/${path}?uploadId=${encodeURIComponent(id)}` });
  }
  return uploads.length > 0;
}

async function send(client: RawClient, request: Parameters<RawClient['send']>[0]): Promise<string> {
  const { status, text } = await client.send(request);
  if (status >= 300) throw new Error(`${request.method ?? 'GET'} ${request.target}: ${status} ${text}`);
  return text;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
