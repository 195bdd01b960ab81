/** JSON as the stand-in takes and keeps it. */
export type Json = null | boolean | number | string | Json[] | JsonRecord;

export interface JsonRecord {
  [name: string]: Json;
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
