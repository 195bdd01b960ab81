/** What all connections share: store, settings, signatures, faults, counts. Knows nothing of sockets. */
import { FaultEngine } from '../faults/fault-engine.ts';
import type { BodyFraming, RequestHead } from '../http/request-head.ts';
import { RequestLog } from '../request-log.ts';
import { type ContentStore, DiscardingContentStore, MemoryContentStore } from '../store/content.ts';
import { FileContentStore } from '../store/file-content.ts';
import { Store } from '../store/store.ts';
import { Exchange, type ExchangeService } from './exchange.ts';
import type { ServiceSettings } from './operation.ts';
import { Authenticator, type Credential } from './sigv4.ts';

/** Where contents lie; `discard`: those above 4 KiB are checked and then forgotten. */
export type Storage = 'memory' | 'discard' | { readonly directory: string };

export interface ServiceOptions extends ServiceSettings {
  readonly buckets: readonly string[];
  readonly credentials: readonly Credential[];
  readonly storage: Storage;
  /** Added to the clock, so that clients meet a server whose time differs. */
  readonly clockOffsetMs: number;
  readonly unsignedContentType: boolean;
  readonly logsRequests: boolean;
}

export class S3Service implements ExchangeService {
  readonly store: Store;
  readonly settings: ServiceSettings;
  readonly authenticator: Authenticator;
  readonly faults = new FaultEngine();
  readonly log: RequestLog | undefined;
  readonly #clockOffsetMs: number;
  #requests = 0;

  constructor(options: ServiceOptions) {
    this.settings = {
      region: options.region,
      checksums: options.checksums,
      checksNothing: options.checksNothing,
      pageKeysMax: options.pageKeysMax,
      opaqueEtags: options.opaqueEtags,
      copyChecksums: options.copyChecksums,
    };
    this.#clockOffsetMs = options.clockOffsetMs;
    this.log = options.logsRequests ? new RequestLog() : undefined;
    const { storage, credentials, region, unsignedContentType } = options;
    this.store = new Store(openContents(storage));
    this.authenticator = new Authenticator({
      credentials,
      region,
      unsignedContentType,
      now: () => this.now(),
    });
    for (const name of options.buckets) this.store.createBucket(name, this.now());
  }

  now(): number {
    return Date.now() + this.#clockOffsetMs;
  }

  nextRequestId(): string {
    this.#requests += 1;
    return this.#requests.toString(16).toUpperCase().padStart(16, '0');
  }

  /** @param refusal why the head could not even be read. */
  open(head: RequestHead, framing: BodyFraming, refusal?: unknown): Exchange {
    return new Exchange(this, head, framing, refusal);
  }

  close(): void {
    this.store.contents.close();
  }
}

function openContents(storage: Storage): ContentStore {
  if (storage === 'memory') return new MemoryContentStore();
  return storage === 'discard' ? new DiscardingContentStore() : new FileContentStore(storage.directory);
}
