import type { Bench } from './summarise.ts';
export function renderPage(_benches: readonly Bench[]): string {
  return '';
}
