/**
 * A container of an Azure account, not by the driver under test: made and taken away by Microsoft's own client, its blobs
 * written, listed and read by plain requests with a signature of the container.
 */
import assert from 'node:assert/strict';
import {
  ContainerClient as Client,
  type ContainerClient,
  ContainerSASPermissions,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import type { AzureSpec } from '../../src/drivers/spec.ts';
import { type Azurite, type AzuriteAccount, firstAccountOf } from './azurite.ts';
import { hashOfAnswer, type ObjectStore, pathOf } from './object-store.ts';
import type { TreeFile } from './tree.ts';

const DAY_MS = 86_400_000;
const API = { 'x-ms-version': '2021-12-02' };
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

export interface ListedBlob {
  readonly name: string;
  /** `BlockBlob`, `AppendBlob` or `PageBlob`. */
  readonly type: string;
  readonly contentType: string;
}

export class AzureContainer implements ObjectStore {
  readonly name: string;
  readonly client: ContainerClient;
  readonly #address: string;
  #signature = '';

  /** @param account default: the first one. */
  constructor(
    azurite: Pick<Azurite, 'endpoint'>,
    name: string,
    account: AzuriteAccount = firstAccountOf(azurite),
  ) {
    this.name = name;
    this.#address = `${account.endpoint}/${name}`;
    this.client = new Client(
      this.#address,
      new StorageSharedKeyCredential(account.account, account.accountKey),
    );
  }

  /** Every object is there with its bytes, and nothing else. */
  async assertHolds(objects: ReadonlyMap<string, Buffer>): Promise<void> {
    assert.deepEqual(new Set(await this.names()), new Set(objects.keys()));
    for (const [key, bytes] of objects) assert.ok(bytes.equals(await this.get(key)), key);
  }

  get(key: string): Promise<Buffer> {
    return this.client.getBlockBlobClient(key).downloadToBuffer();
  }

  async create(): Promise<this> {
    await this.client.create();
    return this.open();
  }

  /** For one that is there already. */
  async open(): Promise<this> {
    const permissions = ContainerSASPermissions.parse('racwdl');
    const expiresOn = new Date(Date.now() + DAY_MS);
    this.#signature = new URL(await this.client.generateSasUrl({ permissions, expiresOn })).search.slice(1);
    return this;
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    await this.#write(name, { 'x-ms-blob-type': 'BlockBlob' }, bytes);
  }

  /** As the registry's driver writes what comes by an upload: an append blob that grows. */
  async append(name: string, bytes: Uint8Array): Promise<void> {
    await this.#write(name, { 'x-ms-blob-type': 'AppendBlob' }, new Uint8Array());
    // https://learn.microsoft.com/rest/api/storageservices/append-block: 4 MiB at most with older versions.
    for (let at = 0; at < bytes.length; at += 4 * 1024 ** 2)
      await this.#write(name, {}, bytes.subarray(at, at + 4 * 1024 ** 2), 'comp=appendblock');
  }

  /** Names of all blobs, marks of uploads included; not what only waits to be committed. */
  async names(): Promise<readonly string[]> {
    return (await this.list()).map(({ name }) => name);
  }

  async list(): Promise<readonly ListedBlob[]> {
    const found: ListedBlob[] = [];
    let marker = '';
    do {
      const query = `restype=container&comp=list&marker=${encodeURIComponent(marker)}&${this.#signature}`;
      const answer = await fetch(`${this.#address}?${query}`, { headers: API });
      const xml = await answer.text();
      assert.equal(answer.status, 200, xml);
      for (const [, blob = ''] of xml.matchAll(/<Blob>(.*?)<\/Blob>/gs))
        found.push({
          name: fieldOf(blob, 'Name'),
          type: fieldOf(blob, 'BlobType'),
          contentType: fieldOf(blob, 'Content-Type'),
        });
      marker = fieldOf(xml, 'NextMarker');
    } while (marker !== '');
    return found;
  }

  async hash(name: string): Promise<TreeFile> {
    return hashOfAnswer(await fetch(this.#blob(name), { headers: API }), name);
  }

  async assertEmpty(): Promise<void> {
    assert.deepEqual(await this.names(), [], 'no blob or mark is left');
  }

  async delete(): Promise<void> {
    await this.client.delete();
  }

  #blob(name: string, query = ''): string {
    return `${this.#address}/${pathOf(name)}?${query === '' ? '' : `${query}&`}${this.#signature}`;
  }

  async #write(
    name: string,
    headers: Readonly<Record<string, string>>,
    bytes: Uint8Array,
    query = '',
  ): Promise<void> {
    const said = { ...API, ...headers, 'content-type': 'application/octet-stream' };
    const answer = await fetch(this.#blob(name, query), {
      method: 'PUT',
      headers: said,
      body: Buffer.from(bytes),
    });
    assert.equal(answer.status, 201, `"${name}": ${await answer.text()}`);
  }
}

/** The first element of that name, its entities replaced; empty where there is none. */
function fieldOf(xml: string, name: string): string {
  const [, text = ''] = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml) ?? [];
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (all, decimal, hex, word) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    return ENTITIES[word] ?? all;
  });
}

export function credentialOf({ accountName, access }: AzureSpec): StorageSharedKeyCredential {
  if (access.type !== 'shared-key') throw new Error('Tests make containers by the key of the account');
  return new StorageSharedKeyCredential(accountName, access.accountKey);
}
