/** Finds out which checksums an Azure Blob service compares with what arrived, by sending wrong ones. */
import { hash, randomUUID } from 'node:crypto';
import { crc64, crc64Hex } from '../../core/crc64.ts';
import { isStorageError } from '../../core/errors.ts';
import { encodePath } from '../../transport/sigv4.ts';
import { isRefusalOfBytes } from '../binding.ts';
import type { Binding, CallContext } from '../driver.ts';
import type { Fields, ServiceClient } from '../http/service-client.ts';
import { blockNameOf, newUploadId } from './azure-block-ids.ts';
import { md5OfBase64 } from './azure-listing.ts';
import { type AzureSum, sumFields } from './azure-write.ts';

const BODY = Buffer.from('blobferry probes which checks this server makes\n');
const OTHER = Buffer.from('other bytes');
const [RIGHT, WRONG] = [BODY, OTHER].map((bytes) => ({
  md5: { md5: hash('md5', bytes, 'hex') },
  crc64: { crc64: crc64Hex(crc64(bytes)) },
})) as [Sums, Sums];
const TIDY_MS = 5_000;

type Sums = Readonly<Record<keyof AzureSum, AzureSum>>;

/** See `Binding` for the words. */
export async function probeAzureBinding(
  ctx: CallContext,
  client: ServiceClient<unknown>,
  prefix: string,
): Promise<Binding> {
  const probe = new Probe(client, `${prefix}${randomUUID()}`);
  try {
    // First a right one: without permission to write, every wrong one would look refused.
    await probe.put(ctx, RIGHT.md5);
    const contentMd5 = await probe.refuses(ctx, WRONG.md5);
    // A checksum that is not taken when it is right is of no use, whatever becomes of a wrong one.
    const takesCrc64 = await isTaken(probe.put(ctx, RIGHT.crc64));
    const computesMd5 = takesCrc64 && (await probe.keptMd5(ctx)) === RIGHT.md5.md5;
    const contentCrc64 = takesCrc64 && (await probe.refuses(ctx, WRONG.crc64));
    await probe.remove(ctx.signal);
    return {
      payloadSha256: false,
      contentMd5,
      contentCrc64,
      computesMd5,
      partCrc32: false,
      objectCrc32: false,
      storesSha256: false,
    };
  } catch (error) {
    await probe.remove(AbortSignal.timeout(TIDY_MS)).catch(() => undefined);
    throw error;
  }
}

class Probe {
  readonly #client: ServiceClient<unknown>;
  readonly #key: string;
  readonly #path: string;

  constructor(client: ServiceClient<unknown>, key: string) {
    this.#client = client;
    this.#key = key;
    this.#path = `/${encodePath(key)}`;
  }

  put(ctx: CallContext, sum: AzureSum): Promise<unknown> {
    return this.#send(ctx, sum, { headers: [['x-ms-blob-type', 'BlockBlob']] });
  }

  /** As a block and as a whole blob. */
  async refuses(ctx: CallContext, sum: AzureSum): Promise<boolean> {
    const block = blockNameOf(newUploadId(), { number: 1, ...sum });
    const query: Fields = [
      ['comp', 'block'],
      ['blockid', block],
    ];
    const ofBlock = await isRefused(this.#send(ctx, sum, { query }));
    return (await isRefused(this.put(ctx, sum))) && ofBlock;
  }

  async keptMd5(ctx: CallContext): Promise<string | undefined> {
    const request = { method: 'HEAD', operation: 'look at a probe in', key: this.#key } as const;
    const { headers } = await this.#client.send(ctx, { ...request, path: this.#path });
    return md5OfBase64(headers.get('content-md5'));
  }

  async remove(signal: AbortSignal): Promise<void> {
    const request = { method: 'DELETE', operation: 'remove a probe from', key: this.#key } as const;
    await this.#client.send({ signal }, { ...request, path: this.#path, accepts: [404], expects: 202 });
  }

  #send(
    ctx: CallContext,
    sum: AzureSum,
    { query = [], headers = [] }: { readonly query?: Fields; readonly headers?: Fields },
  ): Promise<unknown> {
    return this.#client.send(ctx, {
      method: 'PUT',
      operation: 'write a probe to',
      key: this.#key,
      path: this.#path,
      query,
      headers: [...headers, ...sumFields(sum)],
      body: BODY,
      bodyBytes: BODY.length,
    });
  }
}

/** A service that does not know the checksum may compare it wrongly, or mind its header. */
async function isTaken(attempt: Promise<unknown>): Promise<boolean> {
  try {
    return !(await isRefused(attempt));
  } catch (error) {
    if (isStorageError(error, 'unsupported') && error.details.scope === 'object') return false;
    throw error;
  }
}

/** Refused for what was wrong about it; any other failure is no finding and is passed on. */
async function isRefused(attempt: Promise<unknown>): Promise<boolean> {
  try {
    await attempt;
    return false;
  } catch (error) {
    if (isRefusalOfBytes(error)) return true;
    throw error;
  }
}
