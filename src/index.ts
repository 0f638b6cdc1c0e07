export { runBuild as build } from './build/index.ts';
