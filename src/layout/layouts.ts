import { distributionLayout } from './distribution.ts';
import type { Layout, LayoutName } from './layout.ts';
import { msrLayout } from './msr.ts';
import { rawLayout } from './raw.ts';

/** Workers are told a layout by name. */
export function layoutNamed(name: LayoutName): Layout {
  if (name === 'distribution') return distributionLayout;
  return name === 'msr' ? msrLayout : rawLayout;
}
