#!/bin/sh
git clone git@github.com:example/private.git
