/* Does nothing; built static. */
int main(void)
{
	return 0;
}
