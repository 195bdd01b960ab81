/** A container of a Swift server, made and taken away by plain requests of its own: not by the driver under test. */
import assert from 'node:assert/strict';
import { hashOfAnswer, type ObjectStore, pathOf } from './object-store.ts';
import type { SwiftUser } from './swift.ts';
import type { TreeFile } from './tree.ts';

export class SwiftContainer implements ObjectStore {
  readonly name: string;
  readonly #swift: SwiftUser;
  #address = '';
  #token = '';

  constructor(swift: SwiftUser, name: string) {
    this.#swift = swift;
    this.name = name;
  }

  async create(): Promise<this> {
    await this.open();
    assert.equal((await this.request('PUT', '')).status, 201);
    return this;
  }

  /** For one that is there already. */
  async open(): Promise<this> {
    const { authUrl, user, password } = this.#swift;
    const answer = await fetch(authUrl, { headers: { 'x-auth-user': user, 'x-auth-key': password } });
    // Swift says 200, Ceph 204.
    assert.ok(answer.ok, `${answer.status} ${await answer.text()}`);
    this.#token = answer.headers.get('x-auth-token') ?? '';
    this.#address = `${answer.headers.get('x-storage-url')}/${encodeURIComponent(this.name)}`;
    return this;
  }

  /** @param path what follows the container: nothing, or `/` and an encoded name. */
  async request(
    method: string,
    path: string,
    more: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string | Uint8Array } = {},
  ): Promise<{
    readonly status: number;
    readonly headers: Headers;
    readonly bytes: Buffer;
    readonly text: string;
  }> {
    const response = await fetch(`${this.#address}${path}`, {
      method,
      headers: { ...more.headers, 'x-auth-token': this.#token },
      ...(more.body === undefined ? {} : { body: Buffer.from(more.body) }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    return { status: response.status, headers: response.headers, bytes, text: bytes.toString('utf8') };
  }

  /** Names of everything, parts of large objects included. */
  async names(): Promise<readonly string[]> {
    const found: string[] = [];
    for (;;) {
      const marker = encodeURIComponent(found.at(-1) ?? '');
      const { text } = await this.request('GET', `?format=json&marker=${marker}`);
      const page = JSON.parse(text) as readonly { readonly name: string }[];
      if (page.length === 0) return found;
      for (const { name } of page) found.push(name);
    }
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const { status, text } = await this.request('PUT', `/${pathOf(name)}`, { body: bytes });
    assert.equal(status, 201, text);
  }

  /** A large object whole, as the server puts it together. */
  async hash(name: string): Promise<TreeFile> {
    const headers = { 'x-auth-token': this.#token };
    return hashOfAnswer(await fetch(`${this.#address}/${pathOf(name)}`, { headers }), name);
  }

  async assertEmpty(): Promise<void> {
    assert.deepEqual(await this.names(), [], 'no object, part or mark is left');
  }

  async delete(): Promise<void> {
    const queue = (await this.names()).values();
    const removeQueue = async (): Promise<void> => {
      for (const name of queue) await this.request('DELETE', `/${encodeURIComponent(name)}`);
    };
    await Promise.all(Array.from({ length: 8 }, removeQueue));
    assert.equal((await this.request('DELETE', '')).status, 204);
  }
}
