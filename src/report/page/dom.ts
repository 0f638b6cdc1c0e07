/**
 * Elements are made by name and text is only ever text: nothing from a build is parsed as HTML anywhere on the page.
 */

/** What an element is made with: attributes, and listeners under names with `on`. */
export type Props = Readonly<Record<string, string | number | boolean | undefined | ((event: never) => void)>>;

/** What can stand in an element; undefined stands for nothing. */
export type Child = Node | string | undefined;

/** An element with its attributes and children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), props, children);
}

/** The same of SVG. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), props, children);
}

/** An element of the template. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no element ${id}`);
  return found;
}

/** Sets `--name` values: attributes with styles are forbidden by the page's policy, properties are not. */
export function style<E extends HTMLElement | SVGElement>(
  element: E,
  values: Readonly<Record<string, string | number>>,
): E {
  for (const [name, value] of Object.entries(values)) element.style.setProperty(name, String(value));
  return element;
}

/** A bar for a part of the largest, from 0 to 1. What is nothing has none. */
export function track(part: number): HTMLElement {
  const element = el('span', { class: 'track', 'aria-hidden': 'true' });
  return part > 0 ? style(element, { '--part': part }) : element;
}

function fill<E extends Element>(element: E, props: Props, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}
