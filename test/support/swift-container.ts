/** A container of a Swift server, made and taken away by plain requests of its own: not by the driver under test. */
import assert from 'node:assert/strict';

/** A user of tempauth v1. */
export interface SwiftAccess {
  readonly authUrl: string;
  readonly user: string;
  readonly password: string;
}

export class SwiftContainer {
  readonly name: string;
  readonly #swift: SwiftAccess;
  #address = '';
  #token = '';

  constructor(swift: SwiftAccess, name: string) {
    this.#swift = swift;
    this.name = name;
  }

  async create(): Promise<this> {
    const { authUrl, user, password } = this.#swift;
    const answer = await fetch(authUrl, { headers: { 'x-auth-user': user, 'x-auth-key': password } });
    this.#token = answer.headers.get('x-auth-token') ?? '';
    this.#address = `${answer.headers.get('x-storage-url')}/${encodeURIComponent(this.name)}`;
    assert.equal((await this.request('PUT', '')).status, 201);
    return this;
  }

  /** @param path what follows the container: nothing, or `/` and an encoded name. */
  async request(
    method: string,
    path: string,
    more: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string | Uint8Array } = {},
  ): Promise<{ readonly status: number; readonly headers: Headers; readonly text: string }> {
    const response = await fetch(`${this.#address}${path}`, {
      method,
      headers: { ...more.headers, 'x-auth-token': this.#token },
      ...(more.body === undefined ? {} : { body: Buffer.from(more.body) }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  /** Names of everything, parts of large objects included; up to 10,000. */
  async names(): Promise<readonly string[]> {
    const { text } = await this.request('GET', '?format=json');
    return (JSON.parse(text) as readonly { readonly name: string }[]).map(({ name }) => name);
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
