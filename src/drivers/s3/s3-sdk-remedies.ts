/** What the direct engine's client mends by itself, for the SDK's: a wrong clock, another region, expired credentials. */
import type { S3Client } from '@aws-sdk/client-s3';
import { StorageError } from '../../core/errors.ts';
import type { S3Spec } from '../spec.ts';
import { endpointOf, relocated } from './s3-address.ts';
import type { S3CredentialKeeper } from './s3-keeper.ts';
import { clockNotice, isExpiry, movedError, movedNotice } from './s3-refusals.ts';
import { errorOfSdk } from './s3-sdk-errors.ts';

interface SdkRefusal extends Error {
  readonly Region?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly clockSkewCorrected?: boolean };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

export interface RemedyOptions {
  readonly spec: S3Spec;
  readonly name: string;
  readonly keeper: S3CredentialKeeper;
  readonly onNotice?: ((sentence: string) => void) | undefined;
}

/** Commands are begun again from their input, so each is signed and sent anew; bodies are buffers here. */
export function addRemedies(client: S3Client, options: RemedyOptions): void {
  const remedies = new Remedies(client, options);
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const tried = new Set<string>();
      for (;;) {
        const sent = { credentials: options.keeper.current, region: remedies.region };
        try {
          return await next(args);
        } catch (error) {
          const remedy = await remedies.mend(error as SdkRefusal, { ...sent, tried }, context.commandName);
          if (remedy === undefined) throw error;
          tried.add(remedy);
        }
      }
    },
    { step: 'initialize', priority: 'low', name: 'remedies' },
  );
}

interface Sent {
  readonly credentials: S3CredentialKeeper['current'];
  readonly region: string;
  readonly tried: ReadonlySet<string>;
}

class Remedies {
  readonly #client: S3Client;
  readonly #options: RemedyOptions;
  #spec: S3Spec;
  #movedFrom: string | undefined;

  constructor(client: S3Client, options: RemedyOptions) {
    this.#client = client;
    this.#options = options;
    this.#spec = options.spec;
  }

  get region(): string {
    return this.#spec.region;
  }

  async mend(error: SdkRefusal, sent: Sent, command = ''): Promise<string | undefined> {
    // The SDK corrects its clock by itself and leaves it to a retry, of which it has none here, to use it.
    if (error.$metadata?.clockSkewCorrected && !sent.tried.has('clock')) {
      this.#options.onNotice?.(clockNotice(this.#spec, this.#client.config.systemClockOffset));
      return 'clock';
    }
    if (this.#follows(error, sent)) return 'region';
    const refusal = errorOfSdk({ backend: this.#options.name, operation: 'use' }, error);
    if (!(refusal instanceof StorageError) || sent.tried.has('credentials')) return undefined;
    const method = command.startsWith('Head') ? 'HEAD' : '';
    if (!isExpiry(method, refusal, sent.credentials)) return undefined;
    return (await this.#options.keeper.replace(sent.credentials)) ? 'credentials' : undefined;
  }

  #follows(error: SdkRefusal, sent: Sent): boolean {
    const status = error.$metadata?.httpStatusCode ?? 0;
    const isMoved = status === 301 || status === 307 || (status === 400 && error.name !== 'ExpiredToken');
    const region = error.$response?.headers?.['x-amz-bucket-region'] ?? error.Region;
    if (!isMoved || region === undefined) return false;
    if (sent.region !== this.region && !sent.tried.has('region')) return true;
    if (region === this.region) return false;
    const call = { backend: this.#options.name, operation: 'use' };
    const refusal = errorOfSdk(call, error);
    if (this.#movedFrom !== undefined && refusal instanceof StorageError) {
      throw movedError(refusal, [this.#movedFrom, this.region, region]);
    }
    this.#options.onNotice?.(movedNotice(this.#spec, region));
    this.#movedFrom = this.region;
    this.#move(relocated(this.#spec, region));
    return true;
  }

  #move(spec: S3Spec): void {
    this.#spec = spec;
    const { protocol, hostname, port, pathname } = new URL(endpointOf(spec));
    const endpoint = { protocol, hostname, path: pathname, ...(port === '' ? {} : { port: Number(port) }) };
    // Both are looked at anew for each command.
    this.#client.config.region = () => Promise.resolve(spec.region);
    this.#client.config.endpoint = () => Promise.resolve(endpoint);
  }
}
