/** The head of a response, as a binary string. */
import { STATUS_CODES } from 'node:http';
import type { Response } from '../s3/operation.ts';
import { httpDate } from './http-date.ts';

export interface HeadFacts {
  readonly requestId: string;
  readonly closes: boolean;
  /** By the server's clock. */
  readonly nowMs: number;
}

export function responseHead(response: Response, { requestId, closes, nowMs }: HeadFacts): string {
  const { status, body } = response;
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\nServer: embedded-s3\r\nDate: ${httpDate(nowMs)}\r\nx-amz-request-id: ${requestId}\r\n`;
  for (const [name, value] of response.headers) head += `${name}: ${value}\r\n`;
  const hasLength = status !== 204 && status !== 304;
  if (hasLength) {
    const bytes = typeof body === 'string' ? body.length : body ? body.end - body.start : 0;
    head += `Content-Length: ${response.announcedBytes ?? bytes}\r\n`;
  }
  return closes ? `${head}Connection: close\r\n\r\n` : `${head}\r\n`;
}
