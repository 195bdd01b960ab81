/** A server in this thread and a client for it, closed however the test ends. */
import { RawClient } from '../../../bench/s3-server/client/raw-client.ts';
import { type S3Server, type S3ServerOptions, startS3Server } from '../../../bench/s3-server/s3-server.ts';

export interface ServerUnderTest {
  readonly server: S3Server;
  readonly client: RawClient;
}

export async function withServer(
  options: S3ServerOptions,
  run: (under: ServerUnderTest) => Promise<void>,
): Promise<void> {
  const server = await startS3Server({ buckets: ['box'], threads: 0, ...options });
  const client = new RawClient(server.endpoint, options.tls ? { ca: options.tls.cert } : {});
  try {
    await run({ server, client });
  } finally {
    client.close();
    await server.close();
  }
}
