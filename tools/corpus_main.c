/*
 * Runs a fuzzer over the files of its corpus, as an ordinary test. An empty or missing corpus fails:
 * a fuzz test without inputs would test nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *bytes;
	size_t n;

	if (f == NULL || fstat(fileno(f), &st) < 0) {
		perror(path);
		return -1;
	}
	/* Exactly as long as the input, so that ASan sees a read behind it. */
	bytes = malloc((size_t)st.st_size + (st.st_size == 0));
	n = fread(bytes, 1, (size_t)st.st_size, f);
	(void)fclose(f);
	(void)LLVMFuzzerTestOneInput(bytes, n);
	free(bytes);
	return 0;
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *entry;

		if (dir == NULL) {
			count += run_file(argv[i]) == 0;
			continue;
		}
		while ((entry = readdir(dir)) != NULL) {
			char path[4096];

			if (entry->d_name[0] == '.')
				continue;
			(void)snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
			count += run_file(path) == 0;
		}
		(void)closedir(dir);
	}
	printf("1..1\n%s 1 - %d inputs\n", count > 0 ? "ok" : "not ok", count);
	return count > 0 ? 0 : 1;
}
