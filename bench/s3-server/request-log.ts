/** Which requests were answered, for tests that ask what was sent how often. Not kept unless asked for. */
import type { RequestHead } from './http/request-head.ts';
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
  /** Of a request with a body: what `x-amz-content-sha256` said, and the names of fields with checksums. */
  readonly payloadHash?: string;
  readonly checksumFields?: readonly string[];
}

const CHECKSUM_FIELD = /^(x-amz-checksum-(?!type|algorithm)|x-amz-trailer$|content-md5$)/;

export class RequestLog {
  #records: RequestRecord[] = [];

  add(
    route: Route | undefined,
    { headers }: Pick<RequestHead, 'headers'>,
    answer: Pick<RequestRecord, 'status' | 'bodyBytes'>,
  ): void {
    if (!route) return;
    const { operation, bucket, key, query } = route;
    const part = query.find(([name]) => name === 'partNumber')?.[1];
    const payloadHash = headers.get('x-amz-content-sha256');
    const checksumFields = [...headers.keys()].filter((name) => CHECKSUM_FIELD.test(name));
    this.#records.push({
      operation,
      bucket,
      key: fromBinary(key),
      ...(part === undefined ? {} : { partNumber: Number(part) }),
      ...answer,
      ...(answer.bodyBytes > 0 && payloadHash !== undefined ? { payloadHash } : {}),
      ...(answer.bodyBytes > 0 && checksumFields.length > 0 ? { checksumFields } : {}),
    });
  }

  take(): readonly RequestRecord[] {
    const records = this.#records;
    this.#records = [];
    return records;
  }
}
