/* banned.h: functions without a bound do not compile. Include it last. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#define BANNED(f) merpati_bans_##f
#undef strcpy
#define strcpy(d, s) BANNED(strcpy)
#undef strcat
#define strcat(d, s) BANNED(strcat)
#undef strncpy
#define strncpy(d, s, n) BANNED(strncpy)
#undef strncat
#define strncat(d, s, n) BANNED(strncat)
#undef strtok
#define strtok(s, d) BANNED(strtok)
#undef sprintf
#define sprintf(...) BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) BANNED(vsprintf)
#undef gets
#define gets(s) BANNED(gets)
#undef atoi
#define atoi(s) BANNED(atoi)
#undef system
#define system(s) BANNED(system)
#undef popen
#define popen(s, m) BANNED(popen)
#undef alloca
#define alloca(n) BANNED(alloca)

#endif
