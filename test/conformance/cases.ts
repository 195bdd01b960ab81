/** What every driver must do, as data: the same list runs against every backend, real or planted with a fault. */
import type { DriverCase } from './case.ts';
import { ABORT_CASES } from './cases-aborts.ts';
import { COPY_CASES } from './cases-copies.ts';
import { LISTING_CASES } from './cases-listing.ts';
import { MULTIPART_CASES } from './cases-multipart.ts';
import { OBJECT_CASES } from './cases-objects.ts';
import { REFUSAL_CASES } from './cases-refusals.ts';

export const DRIVER_CASES: readonly DriverCase[] = [
  ...OBJECT_CASES,
  ...LISTING_CASES,
  ...REFUSAL_CASES,
  ...ABORT_CASES,
  ...MULTIPART_CASES,
  ...COPY_CASES,
];
