/** A container of an Azure account, made and taken away by Microsoft's own client: not by the driver under test. */
import assert from 'node:assert/strict';
import {
  ContainerClient as Client,
  type ContainerClient,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import type { AzureSpec } from '../../src/drivers/spec.ts';
import { type Azurite, azuriteSpec } from './azurite.ts';

export class AzureContainer {
  readonly name: string;
  readonly client: ContainerClient;

  constructor(azurite: Pick<Azurite, 'endpoint'>, name: string, spec = azuriteSpec(azurite, name)) {
    this.name = name;
    this.client = new Client(`${spec.endpoint}/${name}`, credentialOf(spec));
  }

  /** Whole, from memory. */
  async put(objects: ReadonlyMap<string, Buffer>): Promise<void> {
    for (const [key, bytes] of objects) await this.client.getBlockBlobClient(key).upload(bytes, bytes.length);
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
    return this;
  }

  /** Names of all blobs, marks of uploads included; not what only waits to be committed. */
  async names(): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const { name } of this.client.listBlobsFlat()) names.push(name);
    return names;
  }

  async assertEmpty(): Promise<void> {
    assert.deepEqual(await this.names(), [], 'no blob or mark is left');
  }

  async delete(): Promise<void> {
    await this.client.delete();
  }
}

export function credentialOf({ accountName, access }: AzureSpec): StorageSharedKeyCredential {
  if (access.type !== 'shared-key') throw new Error('Tests make containers by the key of the account');
  return new StorageSharedKeyCredential(accountName, access.accountKey);
}
