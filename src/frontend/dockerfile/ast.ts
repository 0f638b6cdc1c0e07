/**
 * dockerfile-ast for those who load it when they need it: `await import('./ast.ts')`. The package's own names cannot be told from
 * outside once it is bundled, so that importing the package itself dynamically would give an object without them.
 */
export { DockerfileParser } from 'dockerfile-ast';
