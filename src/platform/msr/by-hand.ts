/** Calls of MSR's API as a person makes them in a shell, where the variable with the secret is set. */
import type { ServerAccess } from '../migration.ts';
import { quoted } from '../shell.ts';

export class ByHand {
  readonly #access: ServerAccess;

  constructor(access: ServerAccess) {
    this.#access = access;
  }

  /** @param body JSON, or the path of a file that holds it. */
  call(method: string, path: string, body?: { readonly json: unknown } | { readonly file: string }): string {
    const data =
      body === undefined ? undefined : 'json' in body ? JSON.stringify(body.json) : `@${body.file}`;
    const words = [
      'curl',
      '--fail-with-body',
      ...this.#trust,
      '-X',
      method,
      ...(data === undefined ? [] : ['-H', 'content-type: application/json', '-d', data]),
      `${this.#access.url}${path}`,
    ];
    const user = `-u ${quoted(`${this.#access.username}:`)}"$${this.#access.secretEnv}"`;
    return `${words.map(quoted).join(' ')} ${user}`;
  }

  /** Asks for the switch; the replicas follow one after the other. */
  readOnly(isReadOnly: boolean): string {
    return this.call('POST', '/api/v0/meta/settings', { json: { readOnlyRegistry: isReadOnly } });
  }

  get #trust(): readonly string[] {
    const { trust } = this.#access;
    if (trust.by === 'nobody') return ['-k'];
    return trust.by === 'ca' ? ['--cacert', trust.file] : [];
  }
}
