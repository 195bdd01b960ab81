/** One request from its head to its response, faults of the service's kind included; bytes are the connection's. */
import { hash } from 'node:crypto';
import { bendRange } from '../faults/bend-range.ts';
import { type FaultEngine, NO_FAULTS, type RequestFaults } from '../faults/fault-engine.ts';
import { flipBit } from '../faults/flip-bit.ts';
import type { BodyFraming, RequestHead } from '../http/request-head.ts';
import { contentOf } from '../store/content.ts';
import type { Store } from '../store/store.ts';
import type { OperationRequest, Response, ServiceSettings } from './operation.ts';
import { OPERATIONS, type Operation } from './operations-table.ts';
import { type PayloadFilter, PayloadReceiver, type Received } from './payload.ts';
import { type OperationName, parseQuery, type Route, routeOf, splitPath } from './route.ts';
import { S3Error } from './s3-error.ts';
import type { Authenticator, Query } from './sigv4.ts';
import { element, escapeXml, XML_DECLARATION } from './xml.ts';

/** What all exchanges share. */
export interface ExchangeService {
  readonly store: Store;
  readonly settings: ServiceSettings;
  readonly authenticator: Authenticator;
  readonly faults: FaultEngine;
  now(): number;
  nextRequestId(): string;
}

export class Exchange {
  readonly head: RequestHead;
  readonly framing: BodyFraming;
  faults: RequestFaults = NO_FAULTS;
  /** Set as soon as something is wrong; the body is of no interest any more. */
  failure: S3Error | undefined;
  readonly #service: ExchangeService;
  readonly #requestId: string;
  #route: Route | undefined;
  #operation: Operation | undefined;
  #receiver: PayloadReceiver | undefined;

  /** @param refusal why the head could not even be read. */
  constructor(service: ExchangeService, head: RequestHead, framing: BodyFraming, refusal?: unknown) {
    this.head = head;
    this.framing = framing;
    this.#service = service;
    this.#requestId = service.nextRequestId();
    if (refusal !== undefined) {
      this.fail(refusal);
      return;
    }
    try {
      this.#open();
    } catch (error) {
      this.fail(error);
    }
  }

  get operationName(): OperationName | undefined {
    return this.#route?.operation;
  }

  /** What was asked for; undefined where that could not be told. */
  get route(): Route | undefined {
    return this.#route;
  }

  fail(error: unknown): void {
    this.failure =
      error instanceof S3Error
        ? error
        : new S3Error('InternalError', `We encountered an internal error: ${String(error)}`);
  }

  #open(): void {
    const service = this.#service;
    const query = parseQuery(this.head.rawQuery);
    const route = this.#routeOrAuthenticationError(query);
    this.#route = route;
    this.faults = service.faults.claim(this.head.method, route, service.now());
    this.#refuseAtHead();
    const authentication = service.authenticator.authenticate(this.head, query);
    const operation = OPERATIONS[route.operation];
    this.#operation = operation;
    const wantedChecksums = operation.kind === 'object' ? operation.prepare(this.#request()) : [];
    const rules = { kind: operation.kind, hasChecksumFields: operation.hasChecksumFields, wantedChecksums };
    const { settings, store } = service;
    const context = { head: this.head, framing: this.framing, authentication, settings, rules };
    this.#receiver = new PayloadReceiver(context, store.contents, this.#flip());
  }

  /** Someone without a right signature is not told what this server knows. */
  #routeOrAuthenticationError(query: Query): Route {
    try {
      return routeOf(this.head, query);
    } catch (error) {
      this.#service.authenticator.authenticate(this.head, query);
      throw error;
    }
  }

  #refuseAtHead(): void {
    const rate = this.faults.use('request-rate');
    if (rate) {
      const seconds = rate.retryAfterSeconds ?? 1;
      throw new S3Error('SlowDown', 'Please reduce your request rate.', {
        headers: seconds === 0 ? [] : [['Retry-After', String(seconds)]],
      });
    }
    if (this.faults.peek('status')?.when !== 'body') this.#useStatus();
  }

  #useStatus(): void {
    const fault = this.faults.use('status');
    if (!fault) return;
    const retryAfter: readonly [string, string][] =
      fault.retryAfterSeconds === undefined ? [] : [['Retry-After', String(fault.retryAfterSeconds)]];
    throw new S3Error('InternalError', fault.message ?? 'A scripted fault', {
      code: fault.code,
      status: fault.status,
      headers: [...retryAfter, ...(fault.headers ?? [])],
    });
  }

  #request(): OperationRequest {
    const route = this.#route;
    if (!route) throw new Error('A request without a route has no operation');
    const nowMs = this.#service.now();
    const stale = route.operation.startsWith('ListObjects') ? this.faults.use('stale-listing') : undefined;
    const disorder = route.operation.startsWith('ListObjects')
      ? this.faults.use('unordered-listing')
      : undefined;
    const hideWrittenSinceMs = stale ? nowMs - stale.hideWrittenWithinMs : Number.POSITIVE_INFINITY;
    const { store, settings } = this.#service;
    return {
      store,
      settings,
      route,
      head: this.head,
      nowMs,
      listing: { hideWrittenSinceMs, ...(disorder ? { unordered: disorder.over ?? 'page' } : {}) },
      copyFlip:
        route.operation.endsWith('Copy') || route.operation === 'CopyObject'
          ? this.faults.use('flip-copy')
          : undefined,
    };
  }

  #flip(): PayloadFilter | undefined {
    const fault = this.faults.peek('flip-request');
    if (!fault) return undefined;
    let passed = 0;
    return (piece) => {
      const at = fault.offset - passed;
      passed += piece.length;
      if (at < 0 || at >= piece.length) return piece;
      this.faults.use('flip-request');
      return flipBit(piece, at, fault.bit);
    };
  }

  /** A piece of the body, framing of HTTP removed. */
  write(chunk: Buffer): void {
    if (this.failure) return;
    try {
      this.#receiver?.write(chunk);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Carries out what was asked, once the body is complete. */
  finish(): Response {
    const route = this.#route;
    if (this.failure || !route) return this.errorResponse();
    try {
      const received = this.#receiver?.end();
      if (this.faults.peek('status')) this.#useStatus();
      this.#replaceObject();
      const failed = this.#errorIn200();
      if (failed) return failed;
      if (!received) throw new Error('A request without an operation was finished');
      if (this.faults.use('duplicate-request')) this.#carryOut(received);
      return bendRange(this.#carryOut(received), this.faults);
    } catch (error) {
      this.fail(error);
      return this.errorResponse();
    }
  }

  #carryOut(received: Received): Response {
    const operation = this.#operation;
    if (!operation) throw new Error('A request without an operation was finished');
    if (operation.kind === 'xml') return operation.run(this.#request(), received.xml);
    if (!received.body) throw new Error('An object operation received no object');
    return operation.run(this.#request(), received.body);
  }

  #errorIn200(): Response | undefined {
    const fault = this.faults.use('error-in-200');
    if (!fault) return undefined;
    const error = new S3Error('InternalError', fault.message ?? 'A scripted fault', { code: fault.code });
    return { status: 200, headers: [['Content-Type', 'application/xml']], body: this.#errorXml(error) };
  }

  #replaceObject(): void {
    const fault = this.faults.peek('replace-object');
    const bucket = this.#route && this.#service.store.buckets.get(this.#route.bucket);
    const object = this.#route && bucket?.objects.get(this.#route.key);
    if (!fault || !bucket || !object || !this.#route) return;
    const bytes = fault.content
      ? Buffer.from(fault.content)
      : Buffer.concat(object.content.read(0, object.content.sizeBytes)).map((byte) => byte ^ 0xff);
    bucket.objects.set(this.#route.key, {
      content: contentOf(bytes, this.#service.store.contents),
      etag: hash('md5', bytes, 'hex'),
      modifiedMs: this.#service.now(),
      attributes: object.attributes,
    });
    this.faults.use('replace-object');
  }

  errorResponse(): Response {
    const error = this.failure ?? new S3Error('InternalError', 'We encountered an internal error.');
    const headers = [...(error.details.headers ?? [])];
    // Neither has a body; everything the client learns is in the head.
    if (this.head.method === 'HEAD' || error.status === 304) return { status: error.status, headers };
    headers.push(['Content-Type', 'application/xml']);
    return { status: error.status, headers, body: this.#errorXml(error) };
  }

  #errorXml(error: S3Error): string {
    const fields = Object.entries(error.details.fields ?? {}).map(([name, value]) => element(name, value));
    const { bucket } = this.#route ?? quietSplit(this.head);
    return `${XML_DECLARATION}<Error>${element('Code', error.code)}${element('Message', error.message)}${fields.join('')}${bucket === '' || error.details.fields?.['BucketName'] ? '' : element('BucketName', bucket)}<Resource>${escapeXml(this.head.rawPath)}</Resource>${element('RequestId', this.#requestId)}${element('HostId', 'embedded')}</Error>`;
  }

  get requestId(): string {
    return this.#requestId;
  }
}

function quietSplit(head: RequestHead): { readonly bucket: string } {
  try {
    return splitPath(head);
  } catch {
    // The path cannot be decoded, which is what the answer is about.
    return { bucket: '' };
  }
}
