/** Which requests were answered, for tests that ask what was sent how often. Not kept unless asked for. */
import { fromBinary } from './http/uri.ts';
import type { OperationName, Route } from './s3/route.ts';

export interface RequestRecord {
  readonly operation: OperationName;
  readonly bucket: string;
  readonly key: string;
  readonly partNumber?: number;
  readonly status: number;
  /** Of the request's body, without the framing of HTTP. */
  readonly bodyBytes: number;
}

export class RequestLog {
  #records: RequestRecord[] = [];

  add(route: Route | undefined, status: number, bodyBytes: number): void {
    if (!route) return;
    const { operation, bucket, key, query } = route;
    const part = query.find(([name]) => name === 'partNumber')?.[1];
    this.#records.push({
      operation,
      bucket,
      key: fromBinary(key),
      ...(part === undefined ? {} : { partNumber: Number(part) }),
      status,
      bodyBytes,
    });
  }

  take(): readonly RequestRecord[] {
    const records = this.#records;
    this.#records = [];
    return records;
  }
}
