#!/bin/sh
# The samples in conf/ are what postconf makes from the tables; manual pages are well-formed.
# usage: samples.sh BIN SOURCE
bin=$1 source=$2 bad=0
for file in main.cf master.cf users aliases; do
	"$bin/postconf" --sample "$file" | diff -u "$source/conf/$file" - || {
		echo "conf/$file is out of date: postconf --sample $file >conf/$file"; bad=1; }
done
if command -v mandoc >/dev/null; then
	"$bin/postconf" --man | mandoc -Tlint -Werror || bad=1
	for page in "$source"/docs/man/*.[1-8]; do mandoc -Tlint -Werror "$page" || bad=1; done
fi
exit $bad
