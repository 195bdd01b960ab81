/** A container of an Azure account, made and taken away by Microsoft's own client: not by the driver under test. */
import assert from 'node:assert/strict';
import {
  ContainerClient as Client,
  type ContainerClient,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { ACCOUNT, ACCOUNT_KEY } from './azurite.ts';

export interface AzureAccess {
  /** Ends in the account's name. */
  readonly endpoint: string;
}

export class AzureContainer {
  readonly name: string;
  readonly client: ContainerClient;

  constructor({ endpoint }: AzureAccess, name: string) {
    this.name = name;
    this.client = new Client(`${endpoint}/${name}`, new StorageSharedKeyCredential(ACCOUNT, ACCOUNT_KEY));
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
